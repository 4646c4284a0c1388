import pytest
from tests.graph.samples import HOME, Adder, Chooser, double, raised

from servegraph.graph import rules
from servegraph.graph.builder import new_graph
from servegraph.graph.handles import RouterHandle
from servegraph.graph.spec import (
    ErrorStepSpec,
    TaskSpec,
)

# Answers and errors


def test_respond_marks_the_step_and_returns_it(flow):
    step = flow.to("A")
    assert step.respond() == step
    assert step.responder


def test_error_handler_returns_the_guarded_step(flow):
    step = flow.to(name="pre-process", handler="raising_step")
    assert step.error_handler(name="catcher", handler="handle_error", full_event=True) == step
    assert step.on_error == "catcher"
    assert flow["catcher"].spec == ErrorStepSpec(handler="handle_error", full_event=True)


def test_an_error_handler_goes_on_at_steps_that_may_come_later(flow):
    flow.to("A").error_handler(handler=double, before="C").to("B").to("C")
    flow["double"].to("Log")
    assert flow["double"].spec == ErrorStepSpec(handler=f"{HOME}.double", before=("C",))
    assert rules.children(flow.spec)["double"] == ["C", "Log"]
    assert rules.check(flow.spec) == []


def test_an_error_handler_is_shared_by_its_name_alone(flow):
    flow.to("A").error_handler("catch", handler="h").to("B").error_handler("catch")
    assert [flow[name].on_error for name in "AB"] == ["catch", "catch"]
    assert raised(flow["A"].error_handler, "catch", handler="other") == ("catch", "duplicate")


# Routers


def test_routes_are_added_replaced_and_taken_away(flow):
    router = flow.add_step(
        "*", routes={"a": Adder, "b": {"class_name": "B", "class_args": {"k": 1}, "endpoint_type": 3}}
    )
    assert isinstance(router, RouterHandle)
    assert router.add_route("c", class_name="C", model_path="x").class_args == {"model_path": "x"}
    router.add_route("a", handler=double)
    router.add_route("d", router["c"].spec)
    del router["b"]
    assert list(router) == list(router.routes) == ["a", "c", "d"]
    assert router["a"].handler == f"{HOME}.double"
    assert router["d"].spec == router["c"].spec
    assert "c" in router
    assert "b" not in router
    assert flow["router/c"].name == "c"
    assert "router/c" in flow
    assert raised(lambda: router["cc"]) == ("router", "unknown-route")


def test_replacing_a_route_forgets_its_instance(flow):
    router = flow.add_step("*")
    router.add_route("m", class_name=Adder())
    assert list(flow.live.instances) == ["router/m"]
    router.add_route("m", class_name="M")
    assert flow.live.instances == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda route: route.to("X"),
        lambda route: route.after("X"),
        lambda route: route.after_step("X"),
        lambda route: route.cycle_to("X"),
        lambda route: route.set_flow(["X"]),
        lambda route: route.respond(),
        lambda route: route.error_handler(handler="h"),
    ],
)
def test_a_route_has_no_place_among_the_steps(flow, call):
    assert raised(call, flow.add_step("*").add_route("m", class_name="M")) == ("router/m", "route")


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("nothing-to-run", {}),
        ("kind", {"class_name": "*"}),
        ("kind", {"class_name": ">>", "path": ""}),
        ("kind", {"class_name": Chooser}),
        ("keyword", {"class_name": "M", "after": "x"}),
        ("type", {"route": Adder}),
        ("route", {"route": TaskSpec(class_name="M"), "class_name": "M"}),
    ],
)
def test_a_route_is_refused_at_once(code, options):
    assert raised(new_graph().add_route, "m", **options)[1] == code
