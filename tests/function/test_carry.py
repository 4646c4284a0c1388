"""What is exported runs elsewhere: each test loads the exported document in another process or namespace."""

import functools
import json
import math
import subprocess
import sys
import textwrap

import pytest

import servegraph
from servegraph.errors import GraphError
from servegraph.function import import_function, new_function

LIMIT = 10
FACTORS = {"a": 2}


def scaled(body):
    return min(body * FACTORS["a"], LIMIT)


class Base:
    def do(self, body):
        return scaled(body)


class Adder(Base):
    def __init__(self, add=1):
        self.add = add

    def do(self, body):
        return super().do(body) + self.add


class Holder:
    def __init__(self, thing, size=1):
        self.size = size

    def do(self, body):
        return body


made = functools.partial(math.pow, 2)


def guarded(body):
    return fn_of_this_module.metadata.name


fn_of_this_module = new_function("other")


def flow_of(*steps):
    function = new_function("carried")
    at = function.set_topology("flow")
    for number, step in enumerate(steps):
        given = {"handler": step} if isinstance(step, str) and step.startswith("(") else {"class_name": step}
        at = at.to(name=f"s{number}", **given)
    at.respond()
    return function


def elsewhere(function, body, folder):
    """Export a function and ask it from another process, which knows nothing but the document."""
    path = function.export(folder / "function.yaml")
    command = [sys.executable, "-m", "servegraph", "invoke", str(path), "/", "-d", json.dumps(body)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_classes_functions_lambdas_and_expressions_run_elsewhere(tmp_path):
    def nested(body):
        return [body, LIMIT]

    function = flow_of(Adder, scaled, lambda body: body + 0.5, "(event * 2)", nested)
    with function.to_mock_server() as server:
        assert server.test("/", 3) == [21.0, 10]
    assert elsewhere(function, 3, tmp_path) == [21.0, 10]


def test_names_instances_and_library_steps_run_elsewhere(tmp_path):
    function = new_function("carried")
    graph = function.set_topology("flow")
    graph.to("Adder", name="a", add=5).to(Adder(add=7), name="b").to(
        "storey.Map", name="c", _fn="({'result': event, 'limit': LIMIT})"
    ).to("storey.Filter", name="d", _fn=lambda body: body["limit"] == LIMIT).to(
        handler="json.dumps", name="e"
    ).respond()
    with function.to_mock_server() as server:
        expected = server.test("/", 1)
    assert elsewhere(function, 1, tmp_path) == json.loads(expected)


def test_the_exported_graph_speaks_of_names_in_the_exported_code(tmp_path):
    document = flow_of(Adder).exported()
    assert document["spec"]["graph"]["steps"]["s0"]["class_name"] == "Adder"
    code = document["spec"]["build"]["code"]
    assert "class Base" in code
    assert "LIMIT = 10" in code
    assert "Holder" not in code
    assert "def test_" not in code


def test_an_initializer_and_a_default_class_are_carried(tmp_path):
    function = new_function("carried")
    function.set_topology("flow").to(scaled, name="s0")
    function.spec.default_class = Adder
    function.spec.graph_initializer = change
    document = function.exported()
    assert document["spec"]["graph_initializer"] == "change"
    assert document["spec"]["default_class"] == "Adder"
    assert elsewhere(function, 1, tmp_path) == 102


def change(server):
    server.graph["s0"].to(name="more", handler=lambda body: body + 100).respond()


def test_functions_of_installed_packages_are_imported_not_copied(tmp_path):
    code = flow_of(math.sqrt).exported()["spec"].get("build", {}).get("code", "")
    assert code in ("", "from math import sqrt\n")
    assert elsewhere(flow_of(math.sqrt), 16, tmp_path) == 4


def test_what_stands_for_an_object_of_the_script_is_carried_by_its_name(tmp_path):
    assert elsewhere(flow_of(made), 3, tmp_path) == 8


def test_code_from_a_file_travels_with_the_function(tmp_path):
    (tmp_path / "steps.py").write_text("def triple(body):\n    return body * 3\n")
    function = new_function("carried", command=str(tmp_path / "steps.py"))
    function.set_topology("flow").to(name="s", handler="triple").to(name="t", handler=scaled).respond()
    (tmp_path / "far").mkdir()
    assert elsewhere(function, 1, tmp_path / "far") == 6


def cannot(function):
    with pytest.raises(GraphError) as caught:
        function.exported()
    return {fault.step: fault.message for fault in caught.value.faults}


def test_everything_that_cannot_be_carried_is_said_at_once():
    local = 3

    def closure(body):
        return body + local

    class Inner:
        def do(self, body):
            return body * local

    told = cannot(flow_of(closure, Inner, guarded, Holder(thing=object())))
    assert "it uses 'local' of the function it is defined in" in told["s0"]
    assert "it uses 'local' of the function it is defined in" in told["s1"]
    assert "the code needs 'fn_of_this_module'" in told["s2"]
    assert "it is a ServingFunction, a definition" in told["s2"]
    assert "argument 'thing' cannot be written into a document" in told["s3"]


def test_a_base_class_of_the_function_around_cannot_be_carried():
    class Local:
        def do(self, body):
            return body

    class Step(Local):
        pass

    assert "it uses 'Local' of the function it is defined in" in cannot(flow_of(Step))["s0"]


def test_an_argument_that_is_no_plain_data_cannot_be_carried():
    function = new_function("carried")
    function.set_topology("flow").to(Holder, name="s", thing=object()).respond()
    assert "argument 'thing'" in cannot(function)["s"]


def test_source_that_is_kept_nowhere_cannot_be_carried():
    space = {"__name__": "__sg_gone__"}
    exec("def ghost(body): return body", space)
    told = cannot(flow_of(space["ghost"]))
    assert "its source is not kept anywhere" in told["s0"]


MARKED = """
import servegraph
unused = 1

# mlrun: start-code
RATE = 2
def inside(body):
    return body * RATE
# mlrun: end-code

def outside(body):
    return body

fn = servegraph.new_function("marked")
graph = fn.set_topology("flow")
graph.to(name="a", handler="inside").respond()
bad = servegraph.new_function("bad")
bad.set_topology("flow").to(name="a", handler="outside").to(outside, name="b").respond()
"""


def load(tmp_path, name, text):
    from servegraph.sources.load import load_file

    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    return load_file(path)


def test_a_marked_script_carries_its_regions_only(tmp_path):
    module = load(tmp_path, "sg_marked", MARKED)
    code = module.fn.exported()["spec"]["build"]["code"]
    assert code.split() == ["RATE", "=", "2", "def", "inside(body):", "return", "body", "*", "RATE"]
    assert elsewhere(module.fn, 4, tmp_path) == 8
    told = cannot(module.bad)
    assert "'outside' stands outside of '# mlrun: start-code'" in told["a"]
    assert "'outside' stands outside" in told["b"]


def test_two_things_of_one_name_are_a_fault(tmp_path):
    one = load(tmp_path, "sg_one", "import servegraph\nlimit = 1\ndef first(body): return body + limit\n")
    text = "import servegraph\nlimit = 2\ndef second(body): return body + limit\nfn = servegraph.new_function('x')\n"
    two = load(tmp_path, "sg_two", text)
    graph = two.fn.set_topology("flow")
    graph.to(name="a", handler="first").to(name="b", handler="second").respond()
    with pytest.raises(GraphError, match="'limit' means two things"):
        two.fn.exported([vars(one), vars(two)])


def test_inline_secrets_stay_out_of_the_document(tmp_path, monkeypatch):
    function = flow_of(scaled).with_secrets("inline", {"KEY": "do not tell"})
    text = function.export(tmp_path / "f.yaml").read_text()
    assert "do not tell" not in text
    again = import_function(str(tmp_path / "f.yaml"))
    monkeypatch.setenv("KEY", "from the environment")
    with again.to_mock_server() as server:
        assert server.context.get_secret("KEY") == "from the environment"


def test_a_served_function_is_still_servegraph(tmp_path):
    function = new_function("carried")
    function.add_model("m", class_name="Model", model_path=".")
    code = function.exported()["spec"]["build"]["code"]
    assert code.startswith("import servegraph\n")
    assert "class Model(servegraph.serving.V2ModelServer)" in code


class Model(servegraph.serving.V2ModelServer):
    def load(self):
        self.model = 1
