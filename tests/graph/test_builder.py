from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.graph.samples import HOME, Adder, Chooser, double, raised

from servegraph.errors import GraphError
from servegraph.graph import rules
from servegraph.graph.builder import RouterGraph, load_graph, new_graph
from servegraph.graph.handles import RouterHandle
from servegraph.graph.spec import (
    ErrorStepSpec,
    FlowSpec,
    RouterSpec,
    TaskSpec,
    as_flow,
    from_dict,
    from_json,
    from_yaml,
)

# Topologies


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"topology": "rooter"}, "topology"),
        ({"topology": "flow", "engine": "asinc"}, "engine"),
        ({"topology": "flow", "engin": "sync"}, "keyword"),
        ({"topology": "flow", "class_name": "X"}, "keyword"),
        ({"topology": "flow", "engine": "sync", "allow_cyclic": True}, "cycle-in-sync"),
        ({"topology": "flow", "max_iterations": "9"}, "type"),
        ({"topology": "router", "allow_cyclic": True}, "topology"),
        ({"topology": "router", "engine": "async"}, "topology"),
        ({"topology": "router", "class_name": Adder}, "no-router"),
        ({"topology": "router", "timeout": "x"}, "type"),
    ],
)
def test_a_topology_is_refused_at_once(options, code):
    assert raised(new_graph, **options)[1] == code


def test_the_router_topology_is_one_router():
    graph = new_graph()
    assert isinstance(graph, RouterGraph)
    graph.add_route("m", class_name="M")
    assert graph.spec == RouterSpec(routes={"m": TaskSpec(class_name="M")})
    assert (list(graph), "m" in graph, graph["m"].class_name, list(graph.routes)) == (["m"], True, "M", ["m"])
    assert raised(graph.to, "X") == raised(graph.add_step, "X") == ("", "no-flow")
    graph.add_route("n", class_name="N")
    graph.remove("n")
    assert list(graph) == ["m"]
    del graph["m"]
    graph.add_route("o", class_name="O")
    graph.remove()
    assert list(graph) == []


@pytest.mark.parametrize(
    ("given", "name", "args"),
    [
        (None, "", {}),
        ("pkg.Router", "pkg.Router", {"k": 1}),
        ("*pkg.Router", "pkg.Router", {"k": 1}),
        (Chooser, f"{HOME}.Chooser", {"prefix": "/v1"}),
    ],
)
def test_the_router_topology_takes_a_class_its_arguments_and_options(given, name, args):
    spec = new_graph("router", given, name="root", input_path="x", allow_empty=True, **args).spec
    assert spec == RouterSpec(class_name=name, class_args=args, name="root", input_path="x", allow_empty=True)
    assert list(as_flow(spec).steps) == ["root"]


def test_the_router_topology_takes_an_instance():
    router = Chooser("/v1")
    graph = new_graph("router", router)
    assert graph.live.instances == {graph.name: router}
    assert graph.spec.class_args == {"prefix": "/v1"}


def test_the_error_handler_of_a_router_topology_is_kept_with_it():
    graph = new_graph()
    graph.add_route("m", class_name="M")
    assert graph.error_handler(handler="h") is graph
    assert graph.spec == RouterSpec(
        routes={"m": TaskSpec(class_name="M")}, on_error="h", error_step=ErrorStepSpec(handler="h")
    )
    assert rules.check(graph.spec) == []
    assert load_graph(graph.to_dict()).spec == graph.spec
    assert raised(graph.error_handler, handler="h", before="m") == ("", "handler-before")


def test_a_graph_has_an_error_handler_of_its_own(flow):
    flow.to("A")
    assert flow.error_handler("catch", Adder, add=2) is flow
    assert flow.spec.on_error == "catch"
    assert flow["catch"].spec == ErrorStepSpec(class_name=f"{HOME}.Adder", class_args={"add": 2})
    assert rules.check(flow.spec) == []


# A graph as data and as a picture


def test_a_loaded_graph_goes_on(flow):
    flow.to("A").to("*", "r").add_route("m", class_name="M")
    again = load_graph(flow.spec, flow.live)
    again["r"].add_route("n", class_name="N")
    again["r"].to("B").respond()
    assert list(again) == ["A", "r", "B"]
    assert list(flow) == ["A", "r"]
    assert list(flow["r"].routes) == ["m"]
    assert again.live is flow.live


@pytest.mark.parametrize("responder", [True, False])
def test_a_loaded_router_topology_is_equal(responder):
    spec = RouterSpec(name="r", routes={"m": TaskSpec(class_name="M")}, responder=responder)
    assert load_graph(spec).spec == spec


def test_a_spec_is_a_snapshot(flow):
    step = flow.to("A", rows=[1])
    before = flow.spec
    step.class_args["rows"].append(2)
    step.respond()
    assert before.steps["A"] == TaskSpec(class_name="A", class_args={"rows": [1]})
    assert flow.spec.steps["A"].class_args == {"rows": [1, 2]}


def test_handles_of_one_step_are_equal_and_tell_what_it_is(flow):
    flow.to("A", add=1)
    assert flow["A"] == flow["A"]
    assert len({flow["A"], flow.steps["A"]}) == 1
    assert repr(flow["A"]) == "<StepHandle 'A': class_name='A', class_args={'add': 1}>"
    assert "class_args" in dir(flow["A"])
    step = flow["A"]
    del flow["A"]
    assert repr(step) == "<StepHandle 'A': taken out of its graph>"
    assert raised(lambda: step.spec) == ("", "unknown-step")


def test_a_graph_draws_itself(flow, tmp_path):
    flow.to("A").to("B").respond()
    flow.plot(tmp_path / "graph.svg", rankdir="TB")
    assert "<svg" in Path(tmp_path / "graph.svg").read_text()
    assert "<svg" in flow._repr_html_()
    assert "<svg" in new_graph()._repr_html_()


# Whatever is built


NAMES = [None, "a", "b", "c", "d"]
CLASSES = ["A", "pkg.B", "*", "*pkg.R", "$remote", Adder, Adder(3), Chooser, double, None]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aé☃\n\"'#: -", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=2),
    max_leaves=4,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "full_event": st.booleans(),
        "input_path": st.sampled_from(["x", "x.y"]),
        "timeout": st.floats(0.1, 10),
        "retries": st.integers(0, 3),
        "run_in": st.sampled_from(["auto", "thread"]),
        "function": st.sampled_from(["", "*"]),
        "arg": PLAIN,
        "_fn": st.sampled_from([double, "f", "(event)"]),
    },
)
AFTER = st.none() | st.just("$prev") | st.lists(st.sampled_from(NAMES[1:]), max_size=2)


@st.composite
def graphs(draw):
    graph = new_graph("flow", engine=draw(st.sampled_from(["async", "sync"])))
    for _ in range(draw(st.integers(1, 6))):
        name, after, options = draw(st.sampled_from(NAMES)), draw(AFTER), draw(OPTIONS)
        class_name = draw(st.sampled_from(CLASSES))
        try:
            if draw(st.booleans()) and list(graph):
                step = graph[draw(st.sampled_from(list(graph)))].to(
                    class_name, name, None if class_name else "h", **options
                )
            elif draw(st.integers(0, 4)) == 0:
                step = graph.add_step(">>", name or "queue", after=after, path=draw(st.sampled_from(["", None, "t"])))
            else:
                step = graph.add_step(class_name, name, None if class_name else "h", after=after, **options)
            if draw(st.booleans()):
                step.error_handler(handler=draw(st.sampled_from(["h", double, "(event)"])), before=draw(AFTER))
            if isinstance(step, RouterHandle):
                step.add_route("m", class_name=draw(st.sampled_from(["M", Adder, double])))
        except GraphError:
            continue  # a call that is refused leaves no trace, the next ones go on
    return graph


@given(graphs())
def test_whatever_is_built_is_equal_in_json_and_yaml_and_can_be_checked(graph):
    spec = graph.spec
    assert isinstance(spec, FlowSpec)
    assert from_dict(graph.to_dict()) == spec
    assert from_json(graph.to_json()) == spec
    assert from_yaml(graph.to_yaml()) == spec
    assert load_graph(spec).spec == spec
    for fault in rules.check(spec):
        assert fault.step in {*spec.steps, ""}
