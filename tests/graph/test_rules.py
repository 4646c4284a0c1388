import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.graph import rules
from servegraph.graph.spec import ErrorStepSpec, FlowSpec, QueueSpec, RouterSpec, TaskSpec


def step(*after, **fields):
    return TaskSpec(after=after, handler="f", **fields)


def handler(**fields):
    return ErrorStepSpec(handler="h", **fields)


def flow(steps, **fields):
    return FlowSpec(steps=steps, **fields)


def found(spec, **options):
    return [(fault.step, fault.code) for fault in rules.check(spec, **options)]


def hints(spec):
    return [(fault.step, fault.code) for fault in rules.warn(spec)]


# What the arrows say


def test_steps_after_nothing_start_but_error_handlers_do_not():
    assert rules.starts(flow({"a": step(), "h": handler(), "b": step("a"), "c": step()})) == ["a", "c"]


def test_a_step_that_only_loops_lead_back_to_starts():
    assert rules.starts(flow({"a": step("a", "b", cycle_from=("a", "b")), "b": step("a")})) == ["a"]


def test_children_stand_in_order_of_definition_each_once():
    graph = flow({"c": step("a", "a"), "a": step(), "b": step("a")})
    assert rules.children(graph) == {"c": [], "a": ["c", "b"], "b": []}


def test_children_include_what_an_error_handler_goes_on_with_and_declared_loops():
    graph = flow({"a": step(cycle_from=("b",)), "b": step("a", on_error="h"), "h": handler(before=("b",))})
    assert rules.children(graph) == {"a": ["b"], "b": ["a"], "h": ["b"]}


def test_unknown_names_are_no_children():
    assert rules.children(flow({"a": step("zz"), "h": handler(before=("zz",))})) == {"a": [], "h": []}


def test_error_handlers_are_reached_by_what_they_guard():
    graph = flow({"a": step(on_error="h"), "h": handler(), "x": step("h"), "g": handler()})
    assert rules.reachable(graph) == {"a", "h", "x"}
    assert rules.reachable(flow(graph.steps, on_error="g")) == {"a", "h", "x", "g"}


def test_loops_name_every_step_in_order_from_the_first_defined():
    graph = flow({"a": step(), "b": step("a", "d"), "c": step("b"), "d": step("c")})
    assert rules.loops(graph) == [["b", "c", "d", "b"]]
    assert rules.loops(flow({"a": step("a")})) == [["a", "a"]]


def test_every_loop_is_found():
    graph = flow({"a": step("b"), "b": step("a"), "c": step("d"), "d": step("c")})
    assert rules.loops(graph) == [["a", "b", "a"], ["c", "d", "c"]]


@given(st.integers(1, 12), st.data())
def test_a_graph_whose_steps_come_after_earlier_ones_has_no_loop_and_no_fault(size, data):
    steps = {}
    for number in range(size):
        earlier = st.sets(st.sampled_from(sorted(steps)), max_size=3) if steps else st.just(set())
        steps[str(number)] = step(*data.draw(earlier))
    graph = flow(steps)
    assert rules.loops(graph) == []
    assert rules.check(graph) == []
    assert rules.reachable(graph) == set(steps)


def test_long_chains_are_checked_without_recursion():
    chain = {"0": step(), **{str(number): step(str(number - 1)) for number in range(1, 5000)}}
    assert rules.check(flow(chain)) == []


# Faults: code, graph, where


WELL = {"a": step(), "b": step("a")}
FAULTS = [
    ("empty", flow({}), [""]),
    ("name", flow({"": step(), "a/b": step()}), ["", "a/b"]),
    ("name", flow({"r": RouterSpec(routes={"m/1": step()})}), ["r/m/1"]),
    ("unknown-after", flow({"a": step(), "b": step("aa")}), ["b"]),
    ("unknown-on-error", flow({"a": step(on_error="h")}), ["a"]),
    ("unknown-on-error", flow(WELL, on_error="h"), [""]),
    ("unknown-before", flow({"a": step(on_error="h"), "h": handler(before=("zz",))}), ["h"]),
    ("unknown-cycle-from", flow({"a": step(cycle_from=("zz",))}, allow_cyclic=True), ["a"]),
    ("unknown-final-step", flow(WELL, final_step="c"), [""]),
    ("handler-of-itself", flow({"a": step(on_error="h"), "h": handler(on_error="h")}), ["h"]),
    ("no-handler", flow({"a": step(on_error="b"), "b": step("a")}), ["a"]),
    ("handler-before", flow({**WELL, "h": handler(before=("b",))}, on_error="h"), ["h"]),
    ("handler-unnamed", RouterSpec(routes={"m": step()}, error_step=handler()), [""]),
    ("nested-handler", flow({"r": RouterSpec(routes={"m": step()}, error_step=handler())}), ["r"]),
    ("no-routes", flow({"r": RouterSpec()}), ["r"]),
    ("no-routes", RouterSpec(), ["router"]),
    ("nothing-to-run", flow({"a": TaskSpec()}), ["a"]),
    ("nothing-to-run", RouterSpec(routes={"m": TaskSpec()}), ["router/m"]),
    ("route", RouterSpec(routes={"m": step("a"), "n": handler()}), ["router/m", "router/n"]),
    ("number", flow({"a": step(timeout=0)}), ["a"]),
    ("number", flow({"a": step(timeout=float("nan"))}), ["a"]),
    ("number", flow({"a": step(retries=-1, backoff_factor=-1.0)}), ["a", "a"]),
    ("number", flow({"a": step(max_in_flight=0)}), ["a"]),
    ("number", flow({"a": step(), "q": QueueSpec(after=("a",), shards=0)}), ["q"]),
    ("number", flow(WELL, max_iterations=0), [""]),
    ("run-in", flow({"a": step(run_in="threads")}), ["a"]),
    ("engine", flow(WELL, engine="asyn"), [""]),
    ("loop", flow({"a": step(), "b": step("a", "c"), "c": step("b")}), ["b"]),
    ("loop", flow({"a": step(), "b": step("a", "c"), "c": step("b")}, allow_cyclic=True), ["b"]),
    ("loop", flow({"a": step(), "b": step("a", on_error="h"), "h": handler(before=("b",))}), ["b"]),
    ("cycle", flow({"a": step(cycle_from=("a",))}), ["a"]),
    ("cycle-in-sync", flow({"a": step(cycle_from=("a",))}, engine="sync", allow_cyclic=True), ["a"]),
    ("cycle-in-sync", flow(WELL, engine="sync", allow_cyclic=True), [""]),
    ("responders", flow({"a": step(responder=True), "b": step("a", responder=True)}), ["b"]),
    ("unreachable", flow({"a": step(), "h": handler(), "b": step("h")}), ["b"]),
    ("responder-unreachable", flow({"a": step(), "h": handler(), "b": step("h", responder=True)}), ["b"]),
    ("no-queue", flow({"a": step(), "b": step("a", function="far")}), ["b"]),
    ("no-queue", flow({"a": step(function="far")}), ["a"]),
    ("no-queue", flow({"a": step(on_error="h"), "h": handler(function="far")}), ["h"]),
]


@pytest.mark.parametrize(
    ("code", "spec", "steps"), FAULTS, ids=[f"{code}-{n}" for n, (code, _, _) in enumerate(FAULTS)]
)
def test_a_fault_has_a_code_and_names_its_step(code, spec, steps):
    assert found(spec) == [(step, code) for step in steps]


def test_every_code_is_explained(house):
    told = (house / "docs" / "graphs.md").read_text()
    assert [code for code, _, _ in FAULTS if f"`{code}`" not in told] == []


def test_all_faults_are_found_at_once():
    graph = flow({"a": step("b1"), "b2": TaskSpec(after=("a",)), "c": step(retries=-1), "r": RouterSpec()})
    assert sorted(found(graph)) == [
        ("a", "unknown-after"),
        ("b2", "nothing-to-run"),
        ("c", "number"),
        ("r", "no-routes"),
    ]


def test_a_wrong_name_comes_with_the_nearest():
    (fault,) = rules.check(flow({"enrich": step(), "b": step("enrch")}))
    assert str(fault) == "step 'b': after names 'enrch', but there is no such step; did you mean 'enrich'?"


WELL_FORMED = [
    flow({"a": step(), "b": step("a"), "c": step("a"), "d": step("b", "c", responder=True)}),
    flow({"a": step(on_error="h"), "h": handler(before=("z",), responder=True), "z": step("a", responder=True)}),
    flow({"a": step(), "l": step("a", cycle_from=("l",)), "o": step("l")}, allow_cyclic=True, max_iterations=3),
    flow({"a": step(), "h": handler(), "x": step("h")}, on_error="h"),
    flow({"a": step(timeout=0.5, retries=0, backoff_factor=0, max_in_flight=1, run_in="thread")}),
    flow({"r": RouterSpec(allow_empty=True)}),
    RouterSpec(routes={"m": step()}, on_error="h", error_step=handler()),
    flow({"a": step(), "q": QueueSpec(after=("a",)), "b": step("q", function="far"), "o": QueueSpec(after=("b",))}),
    flow({"a": step(), "b": step("a", function="*"), "q": QueueSpec(after=("b",)), "c": step("q")}),
]


@pytest.mark.parametrize("spec", WELL_FORMED, ids=range(len(WELL_FORMED)))
def test_a_well_formed_graph_has_no_fault(spec):
    assert found(spec) == []


def test_a_responder_behind_another_function_is_a_fault_only_where_functions_run_apart():
    steps = {"a": step(), "q": QueueSpec(after=("a",)), "b": step("q", function="far", responder=True)}
    assert found(flow(steps)) == []
    assert found(flow(steps), deployed=True) == [("b", "remote-responder")]
    near = {**steps, "b": step("q", responder=True)}
    assert found(flow(near), deployed=True) == []


def test_a_responder_that_branches_reach_twice_is_hinted_at():
    ends = {"a": step(), "b": step("a"), "c": step("a"), "d": step("b", "c", responder=True)}
    assert hints(flow(ends)) == [("d", "answers-twice")]
    joined = {**ends, "d": TaskSpec(after=("b", "c"), class_name="mlrun.serving.Merge"), "e": step("d", responder=True)}
    assert hints(flow({**joined, "b": step("a"), "c": step("a")})) == []


def test_several_starts_reach_a_responder_several_times():
    assert hints(flow({"a": step(), "b": step(), "c": step("a", "b", responder=True)})) == [("c", "answers-twice")]


def test_an_error_handler_that_nobody_uses_is_hinted_at():
    assert hints(flow({"a": step(), "h": handler()})) == [("h", "handler-unused")]
    assert hints(flow({"a": step(on_error="h"), "h": handler()})) == []
