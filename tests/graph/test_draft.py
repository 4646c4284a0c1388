import pytest
from tests.graph.samples import Adder, double, raised

from servegraph.errors import GraphError
from servegraph.graph import rules
from servegraph.graph.builder import new_graph

# Where steps stand


def test_to_chains_steps_and_on_the_graph_adds_a_start(flow):
    flow.to("A").to("B").to("C")
    flow.to("D")
    assert {name: step.after for name, step in flow.spec.steps.items()} == {"A": (), "B": ("A",), "C": ("B",), "D": ()}
    assert rules.starts(flow.spec) == ["A", "D"]


def test_add_step_takes_after_by_name_handle_list_and_prev(flow):
    first = flow.add_step("A", after="$prev")
    flow.add_step("B", after="$prev")
    flow.add_step("C", after=["A", flow["B"]])
    flow.add_step("D", after=first)
    assert [step.after for step in flow.spec.steps.values()] == [(), ("A",), ("A", "B"), ("A",)]


def test_prev_is_never_an_error_handler(flow):
    flow.to("A").error_handler("catch", handler="h")
    assert flow.add_step("B", after="$prev").spec.after == ("A",)


@pytest.mark.parametrize("before", ["C", ["C"], "handle"])
def test_before_takes_over_what_the_target_came_after(flow, before):
    flow.to("A").to("C")
    flow.to("B")
    flow["C"].after("B")
    flow.add_step("X", before=flow["C"] if before == "handle" else before)
    assert flow["X"].spec.after == ("A", "B")
    assert flow["C"].spec.after == ("X",)


def test_before_and_after_put_a_step_between(flow):
    flow.to("A").to("B")
    flow.add_step("X", after="A", before="B")
    assert (flow["X"].spec.after, flow["B"].spec.after) == (("A",), ("X",))


def test_after_appends_and_after_step_can_replace(flow):
    flow.to("A")
    flow.to("B")
    joined = flow.add_step("Gather").after("A", "B")
    assert joined.spec.after == ("A", "B")
    assert joined.after_step("B", append=False).spec.after == ("B",)
    assert joined.after(["A"], flow["B"]).spec.after == ("B", "A")


def test_set_flow_chains_classes_functions_and_dicts(flow):
    last = flow.set_flow(["A", double, {"class_name": Adder, "name": "plus", "add": 2}])
    assert last.name == "plus"
    assert {name: step.after for name, step in flow.spec.steps.items()} == {
        "A": (),
        "double": ("A",),
        "plus": ("double",),
    }


def test_set_flow_replaces_only_by_force(flow):
    flow.to("A").to("B").to("C")
    assert raised(flow["A"].set_flow, ["D"]) == ("A", "not-empty")
    assert flow["A"].set_flow(["D"], force=True).name == "D"
    assert list(flow) == ["A", "D"]
    assert flow.set_flow(["E"], force=True).name == "E"
    assert list(flow) == ["E"]


def test_loops_are_declared_by_cycle_to():
    flow = new_graph("flow", allow_cyclic=True, max_iterations=9)
    flow.to("A").to("B", cycle_to=["A", "B"], max_iterations=3)
    flow["B"].to("C").cycle_to("A")
    assert flow["A"].cycle_from == ("B", "C")
    assert flow["B"].spec.cycle_from == ("B",)
    assert (flow.spec.max_iterations, flow["B"].max_iterations) == (9, 3)
    assert rules.check(flow.spec) == []


# What a call alone shows


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        (("a", "duplicate"), lambda flow: flow.to("X", "a")),
        (("X", "unknown-after"), lambda flow: flow.add_step("X", after="aa")),
        (("X", "unknown-before"), lambda flow: flow.add_step("X", before=["a", "bb"])),
        (("b", "unknown-after"), lambda flow: flow["b"].after("aa")),
        (("b", "loop"), lambda flow: flow["b"].after("b")),
        (("X", "loop"), lambda flow: flow.add_step("X", after="a", before="a")),
        (("X", "unknown-before"), lambda flow: flow.add_step("X", before="X")),
        (("", "nothing-to-run"), lambda flow: flow.to()),
        (("d", "nothing-to-run"), lambda flow: flow.add_step(name="d", after="a")),
        (("X", "type"), lambda flow: flow.to("X", timeout="soon")),
        (("X", "run-in"), lambda flow: flow.to("X", run_in="threads")),
        (("", "type"), lambda flow: flow.to(5)),
        (("", "type"), lambda flow: flow.to(handler=5)),
        (("", "type"), lambda flow: flow.to("X", 5)),
        (("", "type"), lambda flow: flow.add_step("X", after=5)),
        (("", "name"), lambda flow: flow.to("X", "")),
        (("a/b", "name"), lambda flow: flow.to("X", "a/b")),
        (("", "keyword"), lambda flow: flow.to("X", after="a")),
        (("", "keyword"), lambda flow: flow["a"].to("X", before="b")),
        (("", "class"), lambda flow: flow.to("$remot")),
        (("", "handler"), lambda flow: flow.to(double, handler="run")),
        (("", "handler"), lambda flow: flow.to("X", handler=lambda body: body)),
        (("", "name"), lambda flow: flow.to(">>", path="")),
        (("q", "queue-path"), lambda flow: flow.to(">>", "q")),
        (("q", "handler"), lambda flow: flow.to(">>", "q", "h", path="")),
        (("q", "queue-responds"), lambda flow: flow.to(">>", "q", path="").respond()),
        (("r", "type"), lambda flow: flow.to("*", "r", routes=["m"])),
        (("r/m", "kind"), lambda flow: flow.to("*", "r", routes={"m": {"kind": "queue"}})),
        (("X", "cycle"), lambda flow: flow.to("X", cycle_to="a")),
        (("a", "cycle"), lambda flow: flow["a"].cycle_to("a")),
        (("", "nothing-to-run"), lambda flow: flow["a"].error_handler()),
        (("", "kind"), lambda flow: flow["a"].error_handler(class_name="*")),
        (("q", "kind"), lambda flow: flow["a"].error_handler("q", ">>", path="")),
        (("", "handler-before"), lambda flow: flow.error_handler(handler="h", before="a")),
        (("", "no-router"), lambda flow: flow.add_route("m", class_name="M")),
        (("", "no-router"), lambda flow: flow.add_model("m")),
        (("a", "no-router"), lambda flow: flow["a"].add_route("m", class_name="M")),
        (("", "unknown-step"), lambda flow: flow["aa"]),
        (("", "unknown-step"), lambda flow: flow.remove(["aa"])),
        (("", "not-empty"), lambda flow: flow.set_flow(["X"])),
    ],
)
def test_a_call_raises_at_once_and_changes_nothing(flow, fault, call):
    flow.to("A", "a").to("B", "b")
    before, names = flow.spec, dict(flow.live.names)
    assert raised(call, flow) == fault
    assert flow.live.names == names
    assert {name: step for name, step in flow.spec.steps.items() if name != "q"} == before.steps


def test_a_wrong_name_comes_with_the_nearest(flow):
    flow.to("A", "enrich")
    with pytest.raises(GraphError, match="after names 'enrch', but there is no such step; did you mean 'enrich'"):
        flow.add_step("B", after="enrch")
    with pytest.raises(AttributeError, match="step 'enrich' has no 'functin'; did you mean 'function'"):
        _ = flow["enrich"].functin
