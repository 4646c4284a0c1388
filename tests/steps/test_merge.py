"""Merge of the parts of one event."""

import asyncio

import pytest
from tests.steps.serving import engines, serve

from servegraph.errors import GraphError
from servegraph.events import DROP
from servegraph.serving import Merge


async def late(body):
    await asyncio.sleep(0.01)
    return [*body, "late"]


def split(merge, first="(event + ['a'])", second="(event + ['b'])", **options):
    def define(graph):
        graph.to(name="r", handler="(event + ['r'])")
        graph.add_step(name="a", handler=first, after="r")
        graph.add_step(name="b", handler=second, after="r")
        graph.add_step(merge, "m", after=["a", "b"], **options).respond()

    return define


@engines
@pytest.mark.parametrize("merge", ["mlrun.serving.Merge", "mlrun.serving.merger.Merge", Merge, Merge(name="m")])
def test_parts_are_joined_in_the_order_of_after_whichever_is_first(engine, merge):
    with serve(split(merge, first=late), engine) as server:
        assert server.test(body=[]) == [["r", "late"], ["r", "b"]]


@engines
def test_a_filtered_part_is_left_out_and_an_event_without_parts_has_no_answer(engine):
    with serve(split(Merge, first=lambda body: DROP), engine) as server:
        assert server.test(body=[]) == [["r", "b"]]
    with serve(split(Merge, first=lambda body: DROP, second=lambda body: DROP), engine) as server:
        assert server.test(body=[]) is None


@engines
def test_parts_of_bodies_go_where_the_result_path_says(engine):
    def define(graph):
        graph.to(name="a", handler="({'n': event['n'] + 1})")
        graph.to(name="b", handler="({'n': event['n'] + 2, 'b': True})")
        graph.add_step(Merge, "m", after=["a", "b"], input_path="n", result_path="all").respond()

    with serve(define, engine) as server:
        answer = server.test(body={"n": 1})
        assert answer["all"] == [2, 3]


@engines
@pytest.mark.parametrize("is_async", [False, True])
def test_merge_function_can_be_overridden(engine, is_async):
    class Joined(Merge):
        def merge_function(self, event, events):
            event.body = "+".join(part.body[-1] for part in events)
            return event

    class JoinedLater(Joined):
        async def merge_function(self, event, events):
            await asyncio.sleep(0)
            return Joined.merge_function(self, event, events)

    with serve(split(JoinedLater if is_async else Joined), engine) as server:
        assert server.test(body=[]) == "a+b"


@engines
def test_a_merge_function_that_returns_no_event_fails(engine):
    class Wrong(Merge):
        def merge_function(self, event, events):
            return "body"

    with serve(split(Wrong), engine) as server:
        assert "must return an event, not str" in server.test(body=[], silent=True).body["error"]


@engines
def test_what_an_error_handler_saves_takes_the_place_of_its_part(engine):
    def define(graph):
        graph.to(name="a", handler="(1 / 0)")
        graph["a"].error_handler(name="h", handler="('saved')", before="m")
        graph.add_step(name="b", handler="('b')", after=[])
        graph.add_step(Merge, "m", after=["a", "b"]).respond()

    with serve(define, engine) as server:
        assert server.test(body=1) == ["saved", "b"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_behind": 0}, "max_behind of Merge"),
        ({"expected_num_events": 0}, "expected_num_events of Merge"),
        ({"key_path": "event["}, "is not valid Python"),
        ({"key_path": "evnt['k']"}, "there is no 'evnt' in it"),
        ({"key_path": "'k'"}, "it says nothing of it"),
    ],
)
def test_a_merge_that_cannot_be_is_refused_when_the_graph_starts(options, told):
    with pytest.raises(GraphError) as raised:
        serve(split("mlrun.serving.Merge", **options))
    assert told in str(raised.value)
