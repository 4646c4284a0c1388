"""What a picture shows: the event, the steps, the answer, and what leads where."""

import pytest
from tests.graph.draw.graphs import CHAIN, DIAMOND, LOOP, PARTS, RESCUED, ROUTER

from servegraph.graph.draw.scene import scene_of
from servegraph.graph.spec import ErrorStepSpec, FlowSpec, QueueSpec, RouterSpec, TaskSpec


def arrows(spec):
    scene = scene_of(spec)
    return {(scene.boxes[a.tail].title, scene.boxes[a.head].title, a.kind) for a in scene.arrows}


def box(spec, title):
    return next(box for box in scene_of(spec).boxes if box.title == title)


def test_a_chain_leads_from_the_event_to_the_answer():
    assert arrows(CHAIN) == {
        ("event", "enrich", "flow"),
        ("enrich", "predict", "flow"),
        ("predict", "post", "flow"),
        ("post", "answer", "answer"),
    }


def test_a_router_topology_answers_by_itself():
    assert arrows(ROUTER) == {("event", "router", "flow"), ("router", "answer", "answer")}
    assert [route.title for route in box(ROUTER, "router").routes] == ["m1", "m2", "m3"]


def test_branches_and_joins_are_arrows():
    assert {("double", "add3", "flow"), ("double", "add2", "flow"), ("add2", "Gather", "flow")} <= arrows(DIAMOND)


def test_handlers_hang_on_what_they_guard_and_lead_where_they_go_on():
    found = arrows(RESCUED)
    assert {("parse", "bad_input", "error"), ("fallback", "post", "recovery")} <= found
    assert not any(tail == "event" and head != "parse" for tail, head, _ in found)


def test_a_graph_wide_handler_has_one_arrow_only():
    assert {tail for tail, head, _ in arrows(RESCUED) if head == "catch_all"} == {"any other failure"}


def test_a_route_with_a_handler_draws_it_from_its_router():
    spec = FlowSpec(
        steps={
            "r": RouterSpec(routes={"m": TaskSpec(class_name="M", on_error="h")}),
            "h": ErrorStepSpec(handler="h"),
        }
    )
    assert ("r", "h", "error") in arrows(spec)


def test_declared_cycles_run_back():
    found = arrows(LOOP)
    assert {("check", "plan", "back"), ("act", "act", "back"), ("event", "plan", "flow")} <= found
    assert ("check", "plan", "flow") not in found


def test_a_sync_graph_answers_with_its_only_end():
    spec = FlowSpec(engine="sync", steps={"a": TaskSpec(handler="f"), "b": TaskSpec(handler="f", after=("a",))})
    assert ("b", "answer", "answer") in arrows(spec)


def test_an_async_graph_without_responder_has_no_answer():
    assert all(head != "answer" for _, head, _ in arrows(PARTS))


def test_names_that_lead_nowhere_are_left_out():
    spec = FlowSpec(on_error="gone", steps={"a": TaskSpec(handler="f", after=("gone",), on_error="gone")})
    assert arrows(spec) == set()


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        (TaskSpec(class_name="storey.Extend"), "storey.Extend"),
        (TaskSpec(class_name="Model", handler="explain"), "Model.explain"),
        (TaskSpec(handler="(event + 1)"), "(event + 1)"),
        (
            TaskSpec(class_name="$remote", class_args={"url": "https://me:pw@host/v2?key=1", "method": "put"}),
            "PUT https://host/v2",
        ),
        (TaskSpec(class_name="mlrun.serving.RemoteStep", class_args={"url": "http://host"}), "http://host"),
        (QueueSpec(path="kafka://me:pw@b:9092/topic"), "kafka://b:9092/topic"),
        (QueueSpec(), "in memory"),
    ],
)
def test_the_second_line_says_what_runs(step, detail):
    assert box(FlowSpec(steps={"s": step}), "s").detail == detail


def test_no_secret_of_a_url_is_shown():
    spec = RouterSpec(routes={"m": TaskSpec(class_name="M", class_args={"model_path": "s3://k:secret@b/m?sig=secret"})})
    assert "secret" not in repr(scene_of(spec)) and "secret" not in repr(scene_of(PARTS))
    assert "s3://b/m" in box(spec, "router").routes[0].tooltip


def test_a_graph_is_told_in_words():
    words = scene_of(RESCUED).describe()
    assert words.startswith("6 steps") and "if parse fails: bad_input" in words
    assert "router router with m1, m2, m3" in scene_of(ROUTER).describe()
