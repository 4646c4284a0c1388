import asyncio
import threading

import pytest
from tests.steps.serving import engines, one, serve, together

from servegraph.storey import MapWithState, Reduce


def total(body, state):
    return body + state, body + state


async def total_later(body, state):
    await asyncio.sleep(0.001)
    return body + state, body + state


@engines
@pytest.mark.parametrize("fn", [total, total_later])
def test_the_state_goes_from_event_to_event(engine, fn):
    assert one(engine, "storey.MapWithState", 1, 2, 3, initial_state=10, fn=fn) == [11, 13, 16]


@pytest.mark.parametrize("fn", [total, total_later])
def test_events_at_once_see_the_state_one_at_a_time(fn):
    with serve(lambda graph: graph.to(MapWithState(0, fn)).respond()) as server:
        assert sorted(together(server, *[1] * 50)) == list(range(1, 51))


def keyed(step):
    def define(graph):
        graph.to("mlrun.feature_store.steps.SetEventMetadata", key_path="k").to(step, "state").respond()

    return define


def count(body, state):
    state["n"] = state.get("n", 0) + 1
    return state["n"], state


async def count_later(body, state):
    await asyncio.sleep(0)
    return count(body, state)


@engines
@pytest.mark.parametrize("fn", [count, count_later])
@pytest.mark.parametrize(
    ("initial", "answers"),
    [
        ({}, [1, 1, 2]),
        ({"n": 5}, [6, 6, 7]),
        (dict, [1, 1, 2]),
        (lambda: {"n": 5}, [6, 6, 7]),
        ({"a": {"n": 5}}, [6, 1, 7]),
    ],
    ids=["empty", "dict", "class", "function", "states-by-key"],
)
def test_every_key_has_a_state_of_its_own(engine, fn, initial, answers):
    with serve(keyed(MapWithState(initial, fn, group_by_key=True)), engine) as server:
        assert [server.test(body={"k": key}) for key in "aba"] == answers


def test_keys_do_not_wait_for_each_other():
    met = []

    async def wait(body, state):
        met.append(body["k"])
        while len(set(met)) < 2:
            await asyncio.sleep(0.001)
        return body["k"], state

    with serve(keyed(MapWithState({}, wait, group_by_key=True))) as server:
        assert together(server, {"k": "a"}, {"k": "b"}) == ["a", "b"]


@engines
def test_events_of_one_key_keep_the_order_of_arrival(engine):
    def append(body, state):
        return [*state, body["n"]], [*state, body["n"]]

    with serve(keyed(MapWithState(list, append, group_by_key=True)), engine) as server:
        for number in range(20):
            answer = server.test(body={"k": "a", "n": number})
        assert answer == list(range(20))


@engines
@pytest.mark.parametrize("fn", [count, count_later])
def test_a_server_that_starts_again_starts_with_the_first_state(engine, fn):
    initial = {"n": 1}
    step = MapWithState(initial, fn)
    for _ in range(2):
        with serve(lambda graph: graph.to(step).respond(), engine) as server:
            assert [server.test(body=0) for _ in range(2)] == [2, 3]
    assert initial == {"n": 1}


@engines
def test_state_with_paths_and_with_the_whole_event(engine):
    answers = one(
        engine, "storey.MapWithState", {"a": 1}, {"a": 2}, initial_state=0, fn=total, input_path="a", result_path="sum"
    )
    assert answers == [{"a": 1, "sum": 1}, {"a": 2, "sum": 3}]

    def number(event, state):
        event.body = state
        return event, state + 1

    assert one(engine, "storey.MapWithState", "x", "y", initial_state=0, fn=number, full_event=True) == [0, 1]


@engines
def test_a_state_that_can_be_closed_is_closed_and_what_cannot_be_copied_is_used_as_it_is(engine):
    class Connection:
        def __init__(self):
            self.lock = threading.Lock()
            self.closed = False

        def close(self):
            self.closed = True

    state = Connection()
    assert one(engine, MapWithState(state, lambda body, state: (body, state)), 1) == [1]
    assert state.closed


@engines
@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (lambda body, state: body, "two values, not int: return body, state"),
        (lambda body, state: total_later(body, state), "async def"),
    ],
)
def test_a_function_that_gives_no_state_back_says_so(engine, fn, told):
    ((_, error),) = one(engine, MapWithState(0, fn), 1)
    assert told in error


@engines
@pytest.mark.parametrize("is_async", [False, True])
def test_reduce_makes_one_value_of_all_events_and_starts_anew(engine, is_async):
    async def append_later(value, body):
        await asyncio.sleep(0.001)
        value.append(body)
        return value

    def append(value, body):
        value.append(body)
        return value

    step = Reduce([], append_later if is_async else append)
    for _ in range(2):
        with serve(lambda graph: graph.to(step).respond(), engine) as server:
            assert [server.test(body=number) for number in range(5)] == [None] * 5
            server.wait_for_completion()
            assert step.result == list(range(5))


def test_reduce_takes_events_at_once_one_at_a_time():
    async def add(value, body):
        await asyncio.sleep(0)
        return value + body

    step = Reduce(0, add)
    with serve(lambda graph: graph.to(step)) as server:
        together(server, *[1] * 100)
        server.wait_for_completion()
        assert step.result == 100


@engines
def test_reduce_of_a_part_of_the_body_or_of_whole_events(engine):
    step = Reduce(0, lambda value, number: value + number, input_path="n")
    one(engine, step, {"n": 1}, {"n": 2})
    assert step.result == 3
    step = Reduce([], lambda ids, event: [*ids, event.path], full_event=True)
    one(engine, step, 1)
    assert step.result == ["/"]


@engines
def test_reduce_says_that_a_function_should_be_async(engine):
    async def add(value, body):
        return value + body

    ((_, error),) = one(engine, Reduce(0, lambda value, body: add(value, body)), 1)
    assert "make it 'async def'" in error
