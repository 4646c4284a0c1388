import asyncio
import functools

import pytest
from tests.steps.serving import engines, one, serve

from servegraph.errors import GraphError
from servegraph.storey import Extend, Filter, FlatMap, Flatten, ForEach, Map


async def later(value):
    await asyncio.sleep(0)
    return value


class Caller:
    async def __call__(self, body):
        return await later(body + 1)


async def add(body, amount=1):
    return await later(body + amount)


@engines
@pytest.mark.parametrize(
    "fn",
    ["(event + 1)", lambda body: body + 1, add, functools.partial(add, amount=1), lambda body: add(body), Caller()],
    ids=["expression", "lambda", "async", "partial", "lambda-async", "async-call"],
)
def test_every_spelling_of_a_function_is_called_and_awaited(engine, fn):
    assert one(engine, "storey.Map", 1, _fn=fn) == [2]


@engines
def test_instances_and_class_objects_are_steps_too(engine):
    assert one(engine, Map(lambda body: body + 1), 1) == [2]
    assert one(engine, Map, 1, fn=lambda body: body + 1) == [2]


@engines
@pytest.mark.parametrize("long_running", [None, True])
def test_pass_context_gives_the_context_also_to_an_instance_and_to_what_is_long_running(engine, long_running):
    def named(body, context):
        return context.current_function is not None and body

    for step in (Map(named, pass_context=True, long_running=long_running), "storey.Map"):
        options = {} if step != "storey.Map" else {"fn": named, "pass_context": True, "long_running": long_running}
        assert one(engine, step, 5, **options) == [5]


@engines
def test_map_sees_the_event_or_the_part_of_the_body_and_writes_where_it_is_told(engine):
    def shout(event):
        event.body = event.body.upper()
        return event

    assert one(engine, "storey.Map", "a", _fn=shout, full_event=True) == ["A"]
    answers = one(engine, "storey.Map", {"a": {"b": 1}}, _fn="(event + 1)", input_path="a.b", result_path="r")
    assert answers == [{"a": {"b": 1}, "r": 2}]


@engines
def test_filter_keeps_what_its_function_likes_and_drops_the_rest_without_a_hang(engine):
    assert one(engine, "storey.Filter", 1, 2, _fn="(event > 1)") == [None, 2]
    assert one(engine, "storey.Filter", {"n": 1}, {"n": 2}, _fn="(event > 1)", input_path="n") == [None, {"n": 2}]
    assert one(engine, "storey.Filter", {"n": 2}, _fn="(event['n'])", result_path="why") == [{"n": 2, "why": 2}]


@engines
def test_an_async_filter_decides_by_what_it_awaits(engine):
    async def large(body):
        return await later(body > 1)

    assert one(engine, "storey.Filter", 1, 2, _fn=large) == [None, 2]


@engines
def test_foreach_discards_what_its_function_returns_unless_a_result_path_keeps_it(engine):
    seen = []
    assert one(engine, "storey.ForEach", {"a": 1}, _fn=lambda body: seen.append(body)) == [{"a": 1}]
    assert seen == [{"a": 1}]
    assert one(engine, "storey.steps.ForEach", {"a": 1}, _fn="(len(event))", result_path="n") == [{"a": 1, "n": 1}]


@engines
def test_extend_adds_to_the_body_or_to_the_dict_at_its_result_path(engine):
    assert one(engine, "storey.Extend", {"a": 1}, _fn="({'b': 2})") == [{"a": 1, "b": 2}]
    assert one(engine, "storey.Extend", {"a": {"x": 3}}, _fn="({'b': event})", input_path="a.x") == [
        {"a": {"x": 3}, "b": 3}
    ]
    for body, answer in [({"r": {"x": 1}}, {"r": {"x": 1, "b": 2}}), ({}, {"r": {"b": 2}})]:
        assert one(engine, "storey.Extend", body, _fn="({'b': 2})", result_path="r") == [answer]


@engines
@pytest.mark.parametrize(
    ("body", "fn", "told"),
    [([1], "({})", "needs dict bodies, not list"), ({}, "(3)", "a function that returns a dict, not int")],
)
def test_extend_says_what_it_cannot_add(engine, body, fn, told):
    ((status, error),) = one(engine, "storey.Extend", body, _fn=fn)
    assert status == 500
    assert told in error


def test_extend_leaves_the_dict_as_it_was_for_whoever_holds_it():
    held = {"a": 1}
    kept = []

    def define(graph):
        graph.to(ForEach(kept.append)).to(Extend(lambda body: {"b": 2})).respond()

    with serve(define) as server:
        assert server.test(body=held) == {"a": 1, "b": 2}
    assert kept == [{"a": 1}]


@engines
@pytest.mark.parametrize(
    ("fn", "items"),
    [("([event, event + 1])", [1, 2]), ("(x for x in [event])", [1]), ("('ab')", ["ab"]), ("([])", [])],
)
def test_flatmap_passes_on_each_item(engine, fn, items):
    def define(graph):
        graph.to("storey.FlatMap", _fn=fn).to("storey.Collector").respond()

    with serve(define, engine) as server:
        assert server.test(body=1) == (items or None)


@engines
def test_flatmap_takes_what_an_async_generator_yields(engine):
    async def twice(body):
        yield body
        yield await later(body)

    def define(graph):
        graph.to(FlatMap(twice)).to("storey.Collector").respond()

    with serve(define, engine) as server:
        assert server.test(body=1) == [1, 1]


@engines
def test_flatmap_passes_on_events_with_full_event_also_from_a_generator(engine):
    def split(event):
        return (event.branch(item) for item in event.body)

    def define(graph):
        graph.to("storey.FlatMap", _fn=split, full_event=True).to("storey.Collector").respond()

    with serve(define, engine) as server:
        assert server.test(body=[1, 2]) == [1, 2]
        assert server.test(body=[]) is None


@engines
@pytest.mark.parametrize(
    ("fn", "full_event", "told"),
    [("(3)", False, "returns a list, not int"), ("([3])", True, "returns events, not int")],
)
def test_flatmap_says_what_is_no_list_of_items(engine, fn, full_event, told):
    ((_, error),) = one(engine, "storey.FlatMap", 1, _fn=fn, full_event=full_event)
    assert told in error


@engines
def test_items_of_flatmap_do_not_share_what_they_can_change(engine):
    def define(graph):
        flat = graph.to("storey.FlatMap", _fn="(event)", input_path="rows", result_path="row")
        flat.to(lambda body: body["kept"].append(body["row"]) or body["kept"]).to("storey.Collector").respond()

    with serve(define, engine) as server:
        assert server.test(body={"rows": [1, 2], "kept": []}) == [[1], [2]]


@engines
def test_flatten_passes_on_the_items_of_a_list_or_of_the_list_at_its_path(engine):
    for step in ("storey.Flatten", "storey.steps.Flatten", Flatten()):

        def define(graph, step=step):
            graph.to(step).to("storey.Collector").respond()

        with serve(define, engine) as server:
            assert server.test(body=[1, 2]) == [1, 2]


def test_more_than_ten_thousand_items_are_no_cycle():
    def define(graph):
        graph.to("storey.FlatMap", _fn="(range(event))").to("storey.Map", _fn="(event)").to("storey.Collector").to(
            handler="(len(event))"
        ).respond()

    with serve(define) as server:
        assert server.test(body=10_050) == 10_050


@engines
@pytest.mark.parametrize("select", [lambda body: body["way"], "(event['way'])"], ids=["function", "expression"])
def test_fn_select_outlets_chooses_by_the_new_body(engine, select):
    def define(graph):
        way = graph.to("storey.Map", "choose", _fn="({'way': event})", _fn_select_outlets=select)
        way.to(name="left", handler="('went left')")
        way.to(name="right", handler="('went right')")
        graph.add_step("Gather", "end", after=["left", "right"]).respond()

    with serve(define, engine) as server:
        assert [server.test(body=way) for way in ("left", "right")] == ["went left", "went right"]


@pytest.mark.parametrize("step", [Map, Filter, Extend, FlatMap, ForEach])
def test_what_is_no_function_is_refused_at_once(step):
    with pytest.raises(TypeError, match=f"the fn of {step.__name__} must be a function, not int"):
        step(3)


def test_a_wrong_keyword_is_found_before_anything_runs_with_the_nearest_name():
    with pytest.raises(GraphError, match=r"Map has no argument 'pas_context'.*did you mean 'pass_context'"):
        serve(lambda graph: graph.to("storey.Map", _fn="(event)", pas_context=True).respond())
    with pytest.raises(TypeError, match="Map has no argument 'pas_context'; did you mean 'pass_context'"):
        Map(print, pas_context=True)
