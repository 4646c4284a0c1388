import hashlib
import pickle
import subprocess
import sys

import cloudpickle
import fsspec
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from servegraph.errors import ArtifactError, BadEvent, GraphError, StepError, Unsupported
from servegraph.events import Event
from servegraph.models.sklearn import SKLearnModelServer

ROWS, LABELS = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def classifier():
    return LogisticRegression(max_iter=500).fit(ROWS, LABELS)


def loaded(model_path=None, **args):
    server = SKLearnModelServer(name="iris", model_path=None if model_path is None else str(model_path), **args)
    server.post_init()
    return server


def ask(server, body, path="infer", method="POST"):
    return server.do_event(Event(body, path=path, method=method)).body


@pytest.mark.parametrize(
    ("name", "dump"),
    [
        ("m.pkl", lambda model, path: path.write_bytes(pickle.dumps(model))),
        ("m.pickle", lambda model, path: path.write_bytes(cloudpickle.dumps(model))),
        ("m.pkl", joblib.dump),
        ("m.joblib", lambda model, path: joblib.dump(model, path, compress=3)),
    ],
)
def test_a_file_predicts_what_the_model_predicts(classifier, tmp_path, name, dump):
    dump(classifier, tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        outputs = ask(loaded(path), {"inputs": ROWS.tolist()})["outputs"]
        assert outputs == classifier.predict(ROWS).tolist()


def test_probabilities_answer_as_an_operation_or_as_the_method(classifier):
    expected = classifier.predict_proba(ROWS[:3]).tolist()
    server = loaded(model=classifier)
    answer = ask(server, {"inputs": ROWS[:3].tolist()}, "predict_proba")
    assert answer["outputs"] == expected
    assert answer["model_name"] == "iris"
    by_method = loaded(model=classifier, method="predict_proba")
    assert ask(by_method, {"inputs": ROWS[:3].tolist()})["outputs"] == expected
    assert ask(server, None, "classes", "GET") == {"classes": [0, 1, 2]}


def test_a_model_that_does_not_classify_says_so():
    server = loaded(model=LinearRegression().fit(ROWS, LABELS))
    for path in ("predict_proba", "classes"):
        with pytest.raises(Unsupported):
            ask(server, {"inputs": [[1, 2, 3, 4]]}, path)
    with pytest.raises(GraphError, match="has no method 'predict_proba'"):
        loaded(model=LinearRegression(), method="predict_proba")


@pytest.mark.parametrize(
    "inputs", [[5.1, 3.5, 1.4, 0.2], [[5.1, 3.5]], [[1, 2, 3, 4], [1, 2, 3]], [[[1, 2, 3, 4]]], ["abcd"]], ids=repr
)
def test_rows_of_another_shape_are_the_callers_fault(classifier, inputs):
    with pytest.raises(BadEvent, match="rows of 4 values"):
        ask(loaded(model=classifier), {"inputs": inputs})


def test_no_rows_are_answered_with_no_outputs(classifier):
    assert ask(loaded(model=classifier), {"inputs": []})["outputs"] == []


def test_the_model_itself_tells_its_inputs(classifier):
    assert loaded(model=classifier).get_metadata() == {
        "name": "iris",
        "versions": [],
        "platform": "sklearn",
        "inputs": [{"name": "inputs", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [],
    }


def test_a_model_fitted_on_a_table_takes_rows_and_dicts():
    table = pd.DataFrame({"width": [1.0, 2.0, 3.0], "height": [3.0, 2.0, 1.0]})
    server = loaded(model=LinearRegression().fit(table, [1.0, 2.0, 3.0]))
    assert [column["name"] for column in server.get_metadata()["inputs"]] == ["width", "height"]
    as_rows = ask(server, {"inputs": [[2.0, 2.0]]})["outputs"]
    as_dicts = ask(server, {"inputs": [{"height": 2.0, "width": 2.0, "more": 1}]})["outputs"]
    by_operation = ask(server, {"inputs": {"height": 2.0, "width": 2.0}}, "infer_dict")["outputs"]
    assert np.allclose([as_rows, as_dicts, by_operation], 2.0)
    with pytest.raises(BadEvent, match="lacks height"):
        ask(server, {"inputs": [{"width": 1.0}]})


class Trap:
    """Whoever unpickles this has run its code."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_a_tampered_file_is_never_opened(classifier, tmp_path):
    promised = pickle.dumps(classifier)
    digest = hashlib.sha256(promised).hexdigest()
    (tmp_path / "m.pkl").write_bytes(promised)
    assert ask(loaded(tmp_path / "m.pkl", sha256=digest), {"inputs": [[5.1, 3.5, 1.4, 0.2]]})["outputs"] == [0]
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(StepError, match="not the file that was promised"):
        loaded(tmp_path / "m.pkl", sha256=digest)
    assert not Trap.sprung


def test_a_file_from_another_machine_needs_a_digest_or_trust(classifier, tmp_path):
    data = pickle.dumps(classifier)
    url = f"memory:/{tmp_path}/m.pkl"
    fsspec.filesystem("memory").pipe({f"{tmp_path}/m.pkl": data})
    with pytest.raises(StepError, match="sha256=, or say trust=True") as caught:
        loaded(url)
    assert isinstance(caught.value.__cause__, ArtifactError)
    for allowed in ({"sha256": hashlib.sha256(data).hexdigest()}, {"trust": True}):
        assert ask(loaded(url, **allowed), {"inputs": [[5.1, 3.5, 1.4, 0.2]]})["outputs"] == [0]


def test_without_a_file_there_is_nothing_to_load():
    with pytest.raises(GraphError, match="needs model_path= or model="):
        loaded()


def test_a_missing_package_says_which_extra_brings_it(tmp_path):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(LinearRegression()))
    program = (
        "import sys; sys.modules['joblib'] = None\n"
        "from servegraph.models.sklearn import SKLearnModelServer\n"
        f"server = SKLearnModelServer(name='m', model_path={str(tmp_path / 'm.pkl')!r})\n"
        "try: server.post_init()\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "servegraph[sklearn]"' in done.stdout
