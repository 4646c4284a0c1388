import base64
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servegraph.errors import GraphError
from servegraph.function import ServingFunction, import_function, new_function
from servegraph.function.documents import parse_document, to_json, to_yaml

CODE = "def step(body):\n    return body + 1\n"


def full():
    function = new_function("full", project="p", tag="t", image="i")
    function.set_topology("flow").to(name="s", handler="step").respond()
    function.metadata.labels["team"] = "x"
    function.with_code(body=CODE).with_commands("make").with_requirements("numpy").set_env("A", 1)
    function.with_http(workers=3, max_body=5).with_secrets("env", "A,B")
    function.spec.parameters = {"rate": 0.5}
    function.spec.default_content_type = "application/json"
    function.spec.error_stream = "kafka://b/errors"
    function.spec.load_mode = "async"
    function.spec.default_class = "pkg.Class"
    function.spec.graph_initializer = "step"
    function.spec.function_refs = {"child": {"url": "x.py"}}
    return function


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_a_function_comes_back_as_it_was_written(tmp_path, suffix):
    function = full()
    path = function.export(tmp_path / f"f.{suffix}")
    again = import_function(str(path))
    assert again.to_dict() == function.to_dict()
    assert again.spec.graph.spec == function.graph.spec


def test_code_stays_readable_in_yaml():
    assert "    code: |\n      def step(body):\n          return body + 1\n" in full().to_yaml()


def test_what_is_at_its_default_is_not_written():
    assert new_function("f").to_dict() == {"kind": "serving", "metadata": {"name": "f"}, "spec": {}}


def test_json_and_yaml_say_the_same():
    function = full()
    assert json.loads(function.to_json()) == function.to_dict()
    assert parse_document(function.to_yaml(), "x") == function.to_dict()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner),
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(min_size=1), plain))
def test_any_parameters_survive_both_languages(parameters):
    data = {"kind": "serving", "spec": {"parameters": parameters}}
    assert parse_document(to_yaml(data), "x") == data
    assert json.loads(to_json(data)) == data


def test_a_function_of_mlrun_is_read(caplog):
    source = (
        CODE + "\nfrom mlrun.runtimes import nuclio_init_hook\ndef init_context(context):\n    nuclio_init_hook()\n"
    )
    document = {
        "kind": "serving",
        "metadata": {"name": "From_MLRun", "project": "p", "hash": "abc", "categories": []},
        "spec": {
            "build": {"functionSourceCode": base64.b64encode(source.encode()).decode(), "origin_filename": "x.py"},
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}],
            "graph": {"steps": {"s": {"kind": "task", "handler": "step", "responder": True}}, "engine": "async"},
            "min_replicas": 1,
            "base_spec": {"spec": {}},
            "parameters": {},
        },
        "status": {"state": "ready"},
    }
    with caplog.at_level(logging.DEBUG, "servegraph"):
        function = ServingFunction.from_dict(document)
    assert function.metadata.name == "from-mlrun"
    assert function.spec.build.code.strip() == CODE.strip()
    assert function.spec.env == {"A": "1"}
    assert "ignored fields of its spec: base_spec, min_replicas" in caplog.text
    function.spec.env = {}
    with function.to_mock_server() as server:
        assert server.test("/", 1) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ("- 1", "holds list, not a mapping"),
        ("kind: job", "a function document has kind 'serving', not 'job'"),
        ("kind: serving\nspec: 3", "'spec' of a function is a mapping, not int"),
        ("kind: serving\nspec: {server: {max_boddy: 3}}", "'server' of a function: .*max_boddy"),
        ("kind: serving\nspec: {graph: {steps: {a: {knd: task}}}}", "unknown field 'knd'; did you mean 'kind'"),
        ("kind: serving\nmetadata: {name: a/b}", "'a/b' is no name"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(tmp_path, text, message):
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(GraphError, match=message):
        import_function(str(path))


def test_other_languages_are_refused(tmp_path):
    with pytest.raises(GraphError, match="written as 'yaml' or 'json', not 'toml'"):
        full().export(tmp_path / "f.toml")


def test_json_refuses_what_it_cannot_say():
    function = new_function("f")
    function.spec.parameters = {"a": float("inf")}
    assert ".inf" in function.to_yaml()
    with pytest.raises(GraphError, match="JSON has no infinity"):
        function.to_json()


def test_objects_have_no_place_in_a_document():
    function = new_function("f")
    function.spec.parameters = {"a": object()}
    with pytest.raises(GraphError, match="no plain data"):
        function.to_yaml()


@pytest.mark.parametrize("text", ["steps:\n  a: {handler: f}\n  a: {handler: g}\n", '{"steps": {"a": {}, "a": {}}}'])
def test_a_step_named_twice_is_told(text):
    with pytest.raises(GraphError, match="'a' stands twice"):
        parse_document(text, "the file")
