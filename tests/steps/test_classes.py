import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.steps.serving import engines, one, serve, together

from servegraph.errors import GraphError
from servegraph.events import DROP
from servegraph.storey import MapClass


class Ignoring(MapClass):
    def do(self, body):
        if body % 2:
            self.filter()
        return body


class Returning(MapClass):
    def do(self, body):
        return self.filter() if body % 2 else body


class Awaiting(MapClass):
    async def do(self, body):
        if body % 2:
            self.filter()
        await asyncio.sleep(0.001 * (body % 3))
        return body


class Nested(Ignoring):
    def do(self, body):
        super().do(body)
        return body


class Helping(MapClass):
    async def do(self, body):
        await asyncio.create_task(self.help(body))
        return body

    async def help(self, body):
        if body % 2:
            self.filter()


class Coroutine(MapClass):
    def do(self, body):
        async def work():
            if body % 2:
                self.filter()
            return body

        return work()


steps = pytest.mark.parametrize("step", [Ignoring, Returning, Awaiting, Nested, Helping, Coroutine])


@engines
@steps
def test_filter_drops_the_event_whatever_do_returns(engine, step):
    assert one(engine, step, 1, 2, 3, 4) == [None, 2, None, 4]


@steps
def test_filter_drops_the_right_one_of_many_events_at_once(step):
    with serve(lambda graph: graph.to(step).respond()) as server, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: server.test(body=body), range(200)))
    assert answers == [None if body % 2 else body for body in range(200)]


def test_filter_does_not_reach_a_call_that_overlaps_in_another_thread():
    meet = threading.Barrier(2, timeout=10)

    class Step(MapClass):
        def do(self, body):
            if body:
                self.filter()
            meet.wait()
            return body

    with serve(lambda graph: graph.to(Step, max_in_flight=2).respond()) as server:
        assert together(server, 0, 1) == [0, None]


@engines
def test_an_error_after_filter_is_an_error_and_drops_no_other_event(engine):
    class Failing(MapClass):
        def do(self, body):
            if body:
                self.filter()
                raise ValueError("after all")
            return body

    assert one(engine, Failing, 1, 0, 0) == [(500, "after all"), 0, 0]


def test_filter_outside_of_do_drops_nothing_later():
    class Step(MapClass):
        def do(self, body):
            return body

    step = Step()
    assert step.filter() is DROP
    assert step.do(1) == 1


def test_filter_of_one_step_does_not_drop_in_another_that_calls_it():
    inner = Ignoring()

    class Outer(MapClass):
        def do(self, body):
            return [inner.do(body) is DROP, body]

    assert one("sync", Outer, 1, 2) == [[True, 1], [False, 2]]


@engines
def test_a_generator_streams(engine):
    class Count(MapClass):
        def do(self, body):
            yield from range(body)

    with serve(lambda graph: graph.to(Count).respond(), engine) as server:
        assert list(server.test(body=3)) == [0, 1, 2]


@engines
def test_a_class_that_hands_on_its_keywords_gets_those_of_every_step(engine):
    class Add(MapClass):
        def __init__(self, amount, **kwargs):
            super().__init__(**kwargs)
            self.amount = amount

        def do(self, body):
            return body + self.amount

    answers = one(engine, Add, {"a": 1}, amount=2, input_path="a", result_path="b")
    assert answers == [{"a": 1, "b": 3}]


def test_a_wrong_keyword_of_such_a_class_is_an_error():
    class Add(MapClass):
        def __init__(self, amount=1, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(GraphError, match="Add has no argument 'amont'; did you mean 'amount'"):
        serve(lambda graph: graph.to(Add, amont=2).respond())


def test_a_class_whose_constructor_calls_no_other_works():
    class Add(MapClass):
        def __init__(self, amount):
            self.amount = amount

        def do(self, body):
            return self.filter() if body is None else body + self.amount

    assert one("async", Add, 1, None, amount=2) == [3, None]


def test_full_event_gives_do_the_event():
    class Step(MapClass):
        def do(self, event):
            if event.body:
                event.body = [event.id, event.path]
                return event
            self.filter()
            return event

    with serve(lambda graph: graph.to(Step, full_event=True).respond()) as server:
        assert server.test("/p", body=1, event_id="e") == ["e", "/p"]
        assert server.test(body=0) is None


def test_a_class_without_do_says_so():
    class Empty(MapClass):
        pass

    ((_, error),) = one("sync", Empty, 1)
    assert error == "Empty must define do(self, body)"


def test_an_event_that_awaits_lets_others_pass():
    class Slow(MapClass):
        async def do(self, body):
            await asyncio.sleep(0.1)
            return body

    with serve(lambda graph: graph.to(Slow).respond()) as server:
        started = time.monotonic()
        assert together(server, *range(16)) == list(range(16))
        assert time.monotonic() - started < 16 * 0.1 / 5 + 0.5
