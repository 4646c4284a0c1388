import asyncio

import pytest
from tests.steps.serving import engines, one, serve

from servegraph.errors import GraphError
from servegraph.storey import Choice, Partition


class Side(Choice):
    def select_outlets(self, body):
        return body["side"]


class AsyncSide(Choice):
    async def select_outlets(self, body):
        await asyncio.sleep(0)
        return body["side"]


def two_ways(step, **options):
    def define(graph):
        graph.to(step, "choose", **options)
        graph.add_step(name="left", handler="([event, 'left'])", after="choose")
        graph.add_step(name="right", handler="([event, 'right'])", after="choose")
        graph.add_step("storey.Collector", "end", after=["left", "right"]).respond()

    return define


BY_FIELD = ("mlrun.serving.steps.ChoiceByField", {"field_name": "side"})


@engines
@pytest.mark.parametrize(("step", "options"), [(Side, {}), (AsyncSide, {}), (Side(), {}), BY_FIELD])
@pytest.mark.parametrize(
    ("chosen", "ways"),
    [("left", ["left"]), (["right"], ["right"]), (["left", "right"], ["left", "right"]), ([], None)],
)
def test_events_go_where_the_choice_says_and_nowhere_for_an_empty_list(engine, step, options, chosen, ways):
    with serve(two_ways(step, **options), engine) as server:
        answer = server.test(body={"side": chosen})
        assert (answer and sorted(way for _, way in answer)) == ways


@engines
def test_none_of_a_choice_means_all(engine):
    with serve(two_ways(Side), engine) as server:
        assert len(server.test(body={"side": None})) == 2


@engines
@pytest.mark.parametrize("step", [Side, BY_FIELD[0]])
def test_a_choice_by_a_part_of_the_body_passes_on_all_of_it(engine, step):
    options = {"input_path": "way", **(BY_FIELD[1] if step == BY_FIELD[0] else {})}
    with serve(two_ways(step, **options), engine) as server:
        assert server.test(body={"way": {"side": "left"}}) == [[{"way": {"side": "left"}}, "left"]]


@engines
def test_a_choice_with_full_event_sees_the_event(engine):
    class ByPath(Choice):
        def select_outlets(self, event):
            return event.path.strip("/")

    with serve(two_ways(ByPath, full_event=True), engine) as server:
        assert server.test("/right", body=1) == [[1, "right"]]


@engines
def test_a_name_that_is_no_next_step_fails_with_the_nearest(engine):
    with serve(two_ways(Side), engine) as server:
        error = server.test(body={"side": "lefd"}, silent=True).body["error"]
        assert "chose 'lefd', the steps after it are: left, right; did you mean 'left'?" in error


@engines
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "is missing"),
        ({"side": 3}, "is int, not a name"),
        ({"side": [3]}, "is list, not a name"),
        (3, "needs a dict"),
    ],
)
def test_a_field_that_names_no_step_is_a_bad_event(engine, body, told):
    with serve(two_ways(BY_FIELD[0], **BY_FIELD[1]), engine) as server:
        answer = server.test(body=body, silent=True)
        assert answer.status_code == 400
        assert told in answer.body["error"]


@engines
def test_a_choice_by_a_path_inside_the_body(engine):
    with serve(two_ways("mlrun.serving.ChoiceByField", field_name="a.side"), engine) as server:
        assert server.test(body={"a": {"side": "left"}}) == [[{"a": {"side": "left"}}, "left"]]


def test_a_choice_with_a_result_path_is_refused():
    with pytest.raises(GraphError, match="a result_path has nothing to write"):
        serve(two_ways(Side, result_path="x"))


@engines
def test_partition_puts_the_body_on_its_side(engine):
    async def later(event):
        return event.body > 1

    assert one(engine, "storey.Partition", 1, 2, _predicate="(event.body > 1)") == [(None, 1), (2, None)]
    assert one(engine, Partition(later), 1, 2) == [(None, 1), (2, None)]
    assert one(engine, "storey.steps.Partition", 2, _predicate="(event > 1)", full_event=False) == [(2, None)]
    answers = one(engine, "storey.Partition", {"n": 2}, _predicate="(event > 1)", input_path="n", result_path="r")
    assert answers == [{"n": 2, "r": (2, None)}]
