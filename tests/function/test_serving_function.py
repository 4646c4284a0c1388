import logging
import re

import pytest

import servegraph
from servegraph.errors import GraphError, ServerError
from servegraph.function import new_function
from servegraph.serve.http import serve_in_background


class Doubler(servegraph.serving.V2ModelServer):
    def load(self):
        self.model = self.get_param("factor", 2)

    def predict(self, body):
        return [value * self.model for value in body["inputs"]]


def add_one(body):
    return body + 1


def flow_of(handler, **options):
    function = new_function("f")
    function.set_topology("flow", **options).to(name="s", handler=handler).respond()
    return function


# Names


@pytest.mark.parametrize(("given", "name"), [("My_Model server", "my-model-server"), ("a.b", "a.b"), ("X", "x")])
def test_names_are_written_as_hosts_are(given, name):
    assert new_function(given).metadata.name == name


def test_a_function_without_a_name_gets_one_of_its_own():
    names = {new_function().metadata.name for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch("servegraph-[0-9a-f]{6}", name) for name in names)


@pytest.mark.parametrize("name", ["-x", "a/b", "x" * 64, "é", "x_"])
def test_what_could_name_no_host_is_refused(name):
    with pytest.raises(GraphError, match="is no name"):
        new_function(name)


# Topology


def test_the_default_topology_is_a_router():
    function = new_function("f")
    assert function.set_topology() is function.spec.graph
    assert type(function.graph).__name__ == "RouterGraph"


def test_a_topology_is_set_once():
    function = new_function("f")
    function.set_topology("flow")
    with pytest.raises(GraphError, match=r"has a graph already: .*exist_ok=True"):
        function.set_topology("flow")


def test_exist_ok_starts_an_empty_graph_of_the_same_topology():
    function = flow_of("add_one")
    assert list(function.set_topology("flow", exist_ok=True).steps) == []
    with pytest.raises(GraphError, match="has a flow graph, which cannot become a router"):
        function.set_topology("router", exist_ok=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": "flwo"}, "unsupported topology 'flwo'.*did you mean 'flow'"),
        ({"topology": "flow", "engin": "sync"}, "a flow has no class and no arguments, it was given engin"),
        ({"topology": "router", "allow_cyclic": True}, "no cycles"),
        ({"topology": "flow", "engine": "sync", "allow_cyclic": True}, "sync engine runs no cycles"),
        ({"topology": "flow", "engine": "asink"}, "'asink'.*did you mean 'async'"),
    ],
)
def test_a_wrong_topology_is_refused_and_leaves_no_graph(arguments, message):
    function = new_function("f")
    with pytest.raises(GraphError, match=message):
        function.set_topology(**arguments)
    assert function.spec.graph is None


@pytest.mark.parametrize("use", ["to_mock_server", "plot", "remove_states"])
def test_a_function_without_a_graph_says_what_to_call(use):
    with pytest.raises(GraphError, match=r"function 'f' has no graph: call fn.set_topology"):
        getattr(new_function("f"), use)()


# Models


@pytest.mark.parametrize(
    "model",
    [{"class_name": "Doubler"}, {"class_name": Doubler}, {"class_name": f"{__name__}.Doubler"}],
    ids=["name", "class", "path"],
)
def test_a_model_may_be_given_in_any_form(model):
    function = new_function("f")
    function.add_model("m", model_path=".", factor=3, **model)
    with function.to_mock_server() as server:
        assert server.test("/v2/models/m/infer", {"inputs": [1, 2]})["outputs"] == [3, 6]


def test_a_model_may_be_an_instance():
    function = new_function("f")
    function.add_model("m", class_name=Doubler(name="m", model_path=".", factor=5))
    with function.to_mock_server() as server:
        assert server.test("/v2/models/m/infer", {"inputs": [1]})["outputs"] == [5]


@pytest.mark.parametrize("default", ["Doubler", Doubler])
def test_the_default_class_is_used_where_none_is_given(default):
    function = new_function("f")
    function.spec.default_class = default
    function.add_model("m", ".")
    with function.to_mock_server() as server:
        assert server.test("/v2/models/m/infer", {"inputs": [4]})["outputs"] == [8]
        server.control().add("n", model_path=".", factor=7)
        assert server.test("/v2/models/n/infer", {"inputs": [1]})["outputs"] == [7]


def test_a_model_without_a_class_is_refused_at_once():
    with pytest.raises(GraphError, match=r"model 'm' has no class: give class_name="):
        new_function("f").add_model("m", model_path="x")


def test_models_go_to_the_only_router_of_a_flow():
    function = new_function("f")
    graph = function.set_topology("flow")
    with pytest.raises(GraphError, match="the flow has no router"):
        function.add_model("m", class_name=Doubler)
    graph.to("*", name="first")
    function.add_model("m", class_name=Doubler)
    assert list(graph["first"].routes) == ["m"]
    graph.to("*", name="second")
    with pytest.raises(GraphError, match=r"several routers \(first, second\): name one with router_step="):
        function.add_model("n", class_name=Doubler)
    function.add_model("n", class_name=Doubler, router_step="second")
    assert list(graph["second"].routes) == ["n"]
    with pytest.raises(GraphError, match="no router step 'secnd'; did you mean 'second'"):
        function.add_model("o", class_name=Doubler, router_step="secnd")


def test_steps_and_routes_are_removed_by_name():
    function = new_function("f")
    for key in "abc":
        function.add_model(key, class_name=Doubler)
    function.remove_states(["a"])
    assert list(function.graph) == ["b", "c"]
    with pytest.raises(GraphError, match="no step 'a' to remove"):
        function.remove_states(["b", "a"])
    assert list(function.graph) == ["b", "c"]
    function.remove_states()
    assert list(function.graph) == []


# Names are found


def test_names_are_found_in_a_helpers_and_its_callers_variables():
    def local_step(body):
        return body * 10

    def helper():
        return flow_of("local_step").to_mock_server()

    assert local_step(1) == 10
    with helper() as server:
        assert server.test("/", 2) == 20


def test_a_given_namespace_comes_first():
    class Names:
        @staticmethod
        def add_one(body):
            return body + 100

    function = new_function("f")
    function.spec.graph = {"steps": {"s": {"handler": "special", "responder": True}}}
    with function.to_mock_server(namespace={"special": Names.add_one}) as server:
        assert server.test("/", 1) == 101
    with function.to_mock_server([{"other": 1}, {"special": add_one}]) as server:
        assert server.test("/", 1) == 2


def test_all_faults_are_found_at_once_by_check_and_by_starting():
    function = new_function("f")
    graph = function.set_topology("flow")
    graph.to(name="a", handler="missing_function").to("MissingClass", name="b").to("Doubler", name="c")
    function.spec.graph_initializer = "missing_initializer"
    function.spec.load_mode = "later"
    faults = function.check()
    told = "\n".join(map(str, faults))
    assert {fault.step for fault in faults} >= {"a", "b"}
    for part in ("missing_function", "MissingClass", "missing_initializer", "load_mode is 'sync' or 'async'"):
        assert part in told
    with pytest.raises(GraphError, match="load_mode"):
        function.to_mock_server()


def test_code_that_cannot_be_loaded_is_a_fault():
    function = flow_of("step").with_code(body="import not_there_at_all")
    (fault,) = function.check()
    assert fault.code == "source"
    assert "ModuleNotFoundError" in fault.message


# What it runs with


def test_parameters_secrets_and_environment_reach_the_steps(tmp_path, monkeypatch):
    (tmp_path / "secrets.env").write_text("# comment\nexport FILE_TOKEN='from file'\n\n")
    monkeypatch.setenv("ENV_TOKEN", "from environment")
    monkeypatch.delenv("SG_FUNCTION_VARIABLE", raising=False)

    def step(body, context):
        return [context.get_param("rate"), *(context.get_secret(name) for name in body)]

    function = flow_of(step)
    function.spec.parameters = {"rate": 3}
    function.with_secrets("inline", {"INLINE": "given"}).with_secrets("env", "ENV_TOKEN")
    function.with_secrets("file", tmp_path / "secrets.env").set_env("SG_FUNCTION_VARIABLE", 4)
    with function.to_mock_server() as server:
        body = ["INLINE", "ENV_TOKEN", "FILE_TOKEN", "SG_FUNCTION_VARIABLE", "NOT_THERE_ANYWHERE"]
        assert server.test("/", body) == [3, "given", "from environment", "from file", "4", None]
    monkeypatch.delenv("SG_FUNCTION_VARIABLE")


def test_secrets_that_only_a_cluster_can_read_are_said_at_the_start(caplog):
    function = flow_of("add_one").with_secrets("kubernetes", ["a"])
    with caplog.at_level(logging.WARNING, "servegraph"), function.to_mock_server():
        pass
    assert "secrets of kind 'kubernetes' cannot be read here" in caplog.text
    assert function.to_dict()["spec"]["secret_sources"] == [{"kind": "kubernetes", "source": ["a"]}]


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [("inlin", {}, "did you mean 'inline'"), ("inline", "A=b", "takes a dict")],
)
def test_wrong_secrets_are_refused_at_once(kind, source, message):
    with pytest.raises(GraphError, match=message):
        new_function("f").with_secrets(kind, source)


def test_build_commands_are_not_run_and_that_is_said_once(caplog, tmp_path):
    function = flow_of("add_one").with_commands([f"touch {tmp_path}/ran"])
    with caplog.at_level(logging.WARNING, "servegraph"):
        function.to_mock_server().close()
        function.to_mock_server().close()
    assert caplog.text.count("build commands are not run here") == 1
    assert not (tmp_path / "ran").exists()


def test_requirements_are_added_up_and_cleaned(tmp_path):
    (tmp_path / "r.txt").write_text("numpy\n")
    function = new_function("f", requirements=["mlrun", "sklearn"])
    function.with_requirements(["pandas"]).with_requirements(requirements_file=tmp_path / "r.txt")
    assert function.spec.build.requirements == ["scikit-learn", "pandas", "numpy"]
    function.with_requirements("x", overwrite=True)
    assert function.spec.build.requirements == ["x"]


def test_http_limits_are_settings():
    function = new_function("f").with_http(workers=2, port=9000, host="::1", gateway_timeout=5, max_body=10)
    assert (function.spec.http.workers, function.spec.http.port, function.spec.http.host) == (2, 9000, "::1")
    assert (function.spec.server.request_timeout, function.spec.server.max_body) == (5, 10)
    assert new_function("g").with_http(worker_timeout=5).spec.server.request_timeout == 65


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worker_timeout": 5, "gateway_timeout": 5}, "must be longer"),
        ({"max_boddy": 5}, "unknown setting 'max_boddy'.*did you mean 'max_body'"),
        ({"max_body": "big"}, "wrong setting"),
        ({"workers": 0}, "one or more"),
    ],
)
def test_wrong_limits_are_refused_and_change_nothing(options, message):
    function = new_function("f")
    with pytest.raises(ValueError, match=message):
        function.with_http(**options)
    assert function.to_dict() == new_function("f").to_dict()


def test_a_mock_server_takes_limits_of_its_own():
    function = flow_of("add_one")
    with function.to_mock_server(request_timeout=1.5) as server:
        assert server.server.settings.request_timeout == 1.5
    with pytest.raises(GraphError, match="unknown setting 'request_timout'"):
        function.to_mock_server(request_timout=1)


def test_the_working_folder_is_changed_while_steps_are_built_only(tmp_path):
    import os

    before = os.getcwd()

    class Where:
        def __init__(self):
            self.folder = os.getcwd()

        def do(self, body):
            return [self.folder, os.getcwd()]

    function = new_function("f")
    function.set_topology("flow").to(Where, name="s").respond()
    with function.to_mock_server(workdir=tmp_path) as server:
        assert server.test("/", 1) == [str(tmp_path), before]


# The initializer


def initialize(server):
    server.context.extra = "attached"
    server.parameters["rate"] = 9
    server.graph["s"].to(name="last", handler=lambda body: [*body, "added"]).respond()


@pytest.mark.parametrize("initializer", [initialize, "initialize"])
def test_an_initializer_may_change_the_graph_of_its_server_only(initializer):
    def step(body, context):
        return [context.extra, context.get_param("rate")]

    function = new_function("f")
    function.set_topology("flow").to(name="s", handler=step)
    function.spec.graph_initializer = initializer
    for _ in range(2):
        with function.to_mock_server() as server:
            assert server.test("/", 1) == ["attached", 9, "added"]
    assert list(function.graph.steps) == ["s"]
    assert function.spec.parameters == {}


# Asking it


def test_a_function_is_asked_where_it_is_served():
    function = new_function("f")
    function.add_model("m", class_name=Doubler, model_path=".")
    with pytest.raises(GraphError, match="not served anywhere"):
        function.invoke("/")
    with serve_in_background(function.builder()) as address:
        function.address = address
        assert function.invoke("/v2/models/m/infer", {"inputs": [1]})["outputs"] == [2]
        assert function.invoke("v2/models/m/infer", b'{"inputs": [2]}', headers={"x-a": "b"})["outputs"] == [4]
        with pytest.raises(ServerError) as caught:
            function.invoke("/v2/models/x/infer", {"inputs": [1]})
        assert caught.value.status_code == 404
        assert caught.value.body["type"] == "NotFound"
    with pytest.raises(ConnectionError, match="cannot reach http"):
        function.invoke("/", timeout=5)
    assert function.invoke("/v2/models/m/infer", {"inputs": [3]}, mock=True)["outputs"] == [6]


# Copies


def test_a_copy_is_a_function_of_its_own():
    function = flow_of("add_one")
    function.spec.parameters["a"] = [1]
    twin = function.copy()
    twin.spec.parameters["a"].append(2)
    twin.graph.add_step(name="more", handler="add_one", after="s")
    twin.metadata.labels["x"] = "y"
    assert function.to_dict() == flow_of("add_one").to_dict() | {
        "spec": {**flow_of("add_one").to_dict()["spec"], "parameters": {"a": [1]}}
    }
    with twin.to_mock_server() as server:
        assert server.test("/", 1) == 2
