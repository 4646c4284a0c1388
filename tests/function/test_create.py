import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servegraph.errors import ArtifactError, GraphError
from servegraph.function import code_to_function, import_function, new_function

CODE = "def step(body):\n    return body + 1\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "steps.py").write_text(CODE)
    cells = ["ignored = 1", f"# mlrun: start-code\n{CODE}# mlrun: end-code", "fn.deploy()"]
    (tmp_path / "book.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "code", "source": source} for source in cells]})
    )
    return tmp_path


def answers(function):
    function.set_topology("flow").to(name="s", handler="step").respond()
    with function.to_mock_server() as server:
        return server.test("/", 1)


@pytest.mark.parametrize("name", ["steps.py", "book.ipynb"])
def test_code_comes_from_a_script_or_a_notebook(files, name):
    assert answers(code_to_function("f", filename=str(files / name), kind="serving")) == 2
    assert answers(new_function("f", command=str(files / name))) == 2


def test_a_function_is_called_after_its_file(files):
    assert code_to_function(filename=str(files / "steps.py")).metadata.name == "steps"


def test_the_code_is_written_where_asked(files):
    code_to_function(filename=str(files / "book.ipynb"), code_output=str(files / "out.py"))
    assert (files / "out.py").read_text() == CODE


def test_what_a_function_is_said_to_be(files):
    function = code_to_function(
        "f", "p", "t", str(files / "steps.py"), image="i", requirements=["sklearn"], labels={"a": "b"}
    )
    assert function.to_dict()["metadata"] == {"name": "f", "project": "p", "tag": "t", "labels": {"a": "b"}}
    assert function.spec.image == "i"
    assert function.spec.build.requirements == ["scikit-learn"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: new_function("f", kind="job"), "functions of kind 'serving' only, not 'job'"),
        (lambda: new_function("f", kind="servin"), "did you mean 'serving'"),
        (lambda: new_function("f", handler="x"), "has no handler: its graph says what runs"),
        (lambda: new_function("f", args=["x"], mode="pass"), "args, mode belongs to jobs"),
        (lambda: code_to_function("f"), "needs a filename: this is no notebook"),
        (lambda: code_to_function("f", filename="x.txt"), "from a .py or .ipynb file, not from 'x.txt'"),
        (lambda: import_function("hub://x"), "kept by an MLRun service.*export it there"),
        (lambda: import_function("db://p/x"), "kept by an MLRun service"),
        (lambda: import_function("ftp://x/y.yaml"), "cannot import a function from 'ftp://'"),
        (lambda: new_function("f").with_code(), "either from_file or body"),
    ],
)
def test_what_is_not_for_here_is_said_clearly(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_a_missing_file_is_a_missing_file():
    with pytest.raises(FileNotFoundError):
        code_to_function("f", filename="gone.py")
    with pytest.raises(FileNotFoundError):
        import_function("gone.yaml")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def address(files):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=files))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_functions_are_imported_from_files_and_over_http(files, address):
    original = new_function("f").with_code(body=CODE)
    original.export(files / "f.yaml")
    for url in (str(files / "f.yaml"), (files / "f.yaml").as_uri(), f"{address}/f.yaml"):
        assert answers(import_function(url, new_name="New Name")) == 2
    assert import_function(f"{address}/f.yaml", "p", "New Name").to_dict()["metadata"] == {
        "name": "new-name",
        "project": "p",
    }
    with pytest.raises(ArtifactError, match=r"cannot fetch .*gone\.yaml.*404"):
        import_function(f"{address}/gone.yaml")


def test_a_bare_graph_becomes_a_function_named_after_its_file(files):
    (files / "my_graph.yaml").write_text("steps: {s: {handler: (event + 1), responder: true}}")
    function = import_function(str(files / "my_graph.yaml"))
    assert function.metadata.name == "my-graph"
    with function.to_mock_server() as server:
        assert server.test("/", 1) == 2
