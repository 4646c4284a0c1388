"""Joining, batching, streams and cycles (design, R6, R10, R11), on both engines."""

import asyncio
import threading

import pytest
from tests.engine.graphs import Records, flow, mock

from servegraph.events import DROP, Event
from servegraph.serve.settings import Settings

engines = pytest.mark.parametrize("engine", ["sync", "async"])


class Merge:
    def join(self, event, parts):
        event.body = [part.body for part in parts]
        return event


class Hold:
    """Holds events until two have come."""

    def __init__(self):
        self.held = []

    def start(self, emit):
        self.emit = emit

    def take(self, held):
        self.held.append(held)
        if len(self.held) == 2:
            self.flush()

    def flush(self):
        if self.held:
            held, self.held = self.held, []
            self.emit(Event([each.event.body for each in held]), held)


def boom(body):
    raise ValueError("bad")


async def late(body):
    await asyncio.sleep(0.01)
    return [*body, "late"]


NAMES = {"Merge": Merge, "Hold": Hold, "boom": boom, "late": late, "drop": lambda body: DROP}


@engines
def test_merge_joins_the_parts_of_one_event_in_the_order_of_after(engine):
    graph = flow(
        engine,
        r={"handler": "(event + ['r'])"},
        a={"after": "r", "handler": "late"},
        b={"after": "r", "handler": "(event + ['b'])"},
        m={"after": ["a", "b"], "class_name": "Merge", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=[]) == [["r", "late"], ["r", "b"]]


@engines
@pytest.mark.parametrize(("a", "b", "answer"), [("drop", "(1)", [1]), ("(1)", "drop", [1]), ("drop", "drop", None)])
def test_a_filtered_part_is_left_out_of_a_merge(engine, a, b, answer):
    graph = flow(
        engine,
        a={"handler": a},
        b={"handler": b},
        m={"after": ["a", "b"], "class_name": "Merge", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=[]) == answer


@engines
@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_part_that_failed_without_a_handler_fails_the_event(engine, order):
    steps = {"a": {"handler": "boom"}, "b": {"handler": "late"}}
    graph = flow(
        engine, **{n: steps[n] for n in order}, m={"after": ["a", "b"], "class_name": "Merge", "responder": True}
    )
    errors = Records()
    with mock(graph, errors=errors, **NAMES) as server:
        assert server.test(body=[], silent=True).body["step"] == "a"
        server.wait_for_completion()
        assert len(errors.records) == 1


@engines
def test_what_a_handler_saves_takes_the_place_of_its_part(engine):
    graph = flow(
        engine,
        a={"handler": "boom", "on_error": "h"},
        b={"handler": "(2)"},
        h={"kind": "error_step", "handler": "('saved')", "before": ["m"]},
        m={"after": ["a", "b"], "class_name": "Merge", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == ["saved", 2]


@engines
def test_merges_after_merges(engine):
    graph = flow(
        engine,
        a={"handler": "(1)"},
        b={"handler": "late"},
        c={"handler": "late"},
        d={"handler": "drop"},
        m1={"after": ["a", "b"], "class_name": "Merge"},
        m2={"after": ["c", "d"], "class_name": "Merge"},
        m3={"after": ["m1", "m2"], "class_name": "Merge", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        for _ in range(3):
            assert server.test(body=[]) == [[1, ["late"]], [["late"]]]


@engines
@pytest.mark.parametrize(("row", "answers"), [("([x * 100 for x in event])", [100, 200]), ("(sum(event))", [3, 3])])
def test_callers_of_a_batch_get_their_own_row_or_the_whole(engine, row, answers):
    graph = flow(engine, h={"class_name": "Hold"}, s={"after": "h", "handler": row, "responder": True})
    with mock(graph, **NAMES) as server:
        assert _together(server, 1, 2) in (answers, answers[::-1]) or row.startswith("([")
        assert sorted(_together(server, 1, 2)) == answers


@engines
def test_a_failing_batch_fails_each_of_its_callers_and_is_recorded_once(engine):
    errors = Records()
    graph = flow(engine, h={"class_name": "Hold"}, s={"after": "h", "handler": "boom", "responder": True})
    with mock(graph, errors=errors, **NAMES) as server:
        assert [each.status_code for each in _together(server, 1, 2, silent=True)] == [500, 500]
        assert len(errors.records) == 1


@engines
def test_a_dropped_batch_gives_its_callers_empty_answers(engine):
    graph = flow(
        engine,
        h={"class_name": "Hold"},
        s={"after": "h", "handler": "drop"},
        t={"after": "s", "handler": "(1)", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert _together(server, 1, 2) == [None, None]
        assert server.server.in_flight == 0


class HoldWhole(Hold):
    error = None

    def flush(self):
        if self.held:
            held, self.held = self.held, []
            self.emit(Event([each.event.body for each in held]), held, whole=True, error=self.error)


class HoldAndFail(HoldWhole):
    error = ValueError("held too long")


@engines
def test_a_holder_may_say_that_every_caller_gets_the_whole(engine):
    graph = flow(
        engine, h={"class_name": "HoldWhole"}, s={"after": "h", "handler": "(sorted(event))", "responder": True}
    )
    with mock(graph, HoldWhole=HoldWhole) as server:
        assert _together(server, 1, 2) == [[1, 2], [1, 2]]


@engines
def test_a_holder_may_fail_those_it_holds_and_a_handler_may_save_them(engine):
    steps = {"h": {"class_name": "HoldAndFail"}, "s": {"after": "h", "handler": "(event)", "responder": True}}
    with mock(flow(engine, **steps), HoldAndFail=HoldAndFail) as server:
        assert [each.body["step"] for each in _together(server, 1, 2, silent=True)] == ["h", "h"]
    steps["h"]["on_error"] = "e"
    steps["e"] = {"kind": "error_step", "handler": "('saved')"}
    with mock(flow(engine, **steps), HoldAndFail=HoldAndFail) as server:
        assert _together(server, 1, 2) == ["saved", "saved"]


def test_a_caller_that_waits_alone_for_a_batch_gets_504_and_the_batch_goes_on_without_it():
    seen = []
    graph = flow("async", h={"class_name": "Hold"}, s={"after": "h", "handler": "note", "responder": True})
    with mock(
        graph, settings=Settings(request_timeout=0.05), note=lambda body: seen.append(body) or body, **NAMES
    ) as server:
        assert server.test(body=1, silent=True).status_code == 504
        server.wait_for_completion()
        assert seen == [[1]]
        assert server.server.in_flight == 0


@pytest.mark.parametrize("calling", [True, False])
@engines
def test_a_generator_streams_its_chunks_through_the_steps_after_it(engine, calling):
    def count(body):
        for number in range(3):
            yield {"i": body + number}

    graph = flow(engine, a={"handler": "count"}, b={"after": "a", "handler": "({**event, 'b': 1})", "responder": True})
    with mock(graph, calling=calling, count=count) as server:
        assert list(server.test(body=10)) == [{"i": 10, "b": 1}, {"i": 11, "b": 1}, {"i": 12, "b": 1}]
        assert server.server.in_flight == 0


@engines
def test_an_async_generator_streams_and_chunks_may_be_dropped(engine):
    async def count(body):
        for number in range(6):
            await asyncio.sleep(0)
            yield number

    graph = flow(engine, a={"handler": "count"}, b={"after": "a", "handler": "odd", "responder": True})
    with mock(graph, count=count, odd=lambda body: body if body % 2 else DROP) as server:
        assert list(server.test(body=None, method="POST")) == [1, 3, 5]


class Collector:
    def join(self, event, parts):
        event.body = [part.body for part in parts]
        return event


@engines
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_collector_gathers_a_stream_into_a_list(engine, count):
    graph = flow(
        engine,
        a={"handler": "chunks"},
        c={"after": "a", "class_name": "Collector"},
        n={"after": "c", "handler": "(event)", "responder": True},
    )
    with mock(graph, chunks=lambda body: (each for each in range(body)), Collector=Collector) as server:
        assert server.test(body=count) == list(range(count))


@engines
def test_a_stream_that_fails_before_its_first_chunk_is_an_ordinary_error(engine):
    def broken(body):
        raise ValueError("early")
        yield

    with mock(flow(engine, a={"handler": "broken", "responder": True}), broken=broken) as server:
        response = server.test(body=1, silent=True)
        assert (response.status_code, response.body["error"], response.body["step"]) == (500, "early", "a")
        assert server.server.in_flight == 0


@engines
def test_a_stream_that_fails_later_raises_where_it_is_read(engine):
    def broken(body):
        yield 1
        raise ValueError("late")

    with mock(flow(engine, a={"handler": "broken", "responder": True}), broken=broken) as server:
        stream = iter(server.test(body=1))
        assert next(stream) == 1
        with pytest.raises(ValueError, match="late"):
            next(stream)
        assert server.server.in_flight == 0


@pytest.mark.parametrize("calling", [True, False])
@engines
def test_a_reader_that_leaves_ends_the_generator(engine, calling):
    ended = threading.Event()

    def forever(body):
        try:
            while True:
                yield 1
        finally:
            ended.set()

    with mock(flow(engine, a={"handler": "forever", "responder": True}), calling=calling, forever=forever) as server:
        stream = server.test(body=1)
        assert next(iter(stream)) == 1
        stream.close()
        assert ended.wait(5)
        assert server.server.in_flight == 0


@engines
def test_a_stream_inside_a_stream_is_one_stream(engine):
    def twice(body):
        yield body
        yield body * 10

    graph = flow(engine, a={"handler": "twice"}, b={"after": "a", "handler": "twice", "responder": True})
    with mock(graph, twice=twice) as server:
        assert list(server.test(body=1)) == [1, 10, 10, 100]


class Loop:
    def do(self, body):
        return body + 1

    def select_outlets(self, body):
        return "out" if body >= 5 else "l"


def cyclic(limit=None):
    return {
        "allow_cyclic": True,
        "steps": {
            "l": {"class_name": "Loop", "cycle_from": ["l"], **({"max_iterations": limit} if limit else {})},
            "out": {"after": ["l"], "handler": "({'done': event})", "responder": True},
        },
    }


def test_a_cycle_goes_round_until_its_step_chooses_to_leave():
    with mock(cyclic(), Loop=Loop) as server:
        assert server.test(body=0) == {"done": 5}


def test_a_cycle_is_bounded():
    with mock(cyclic(3), Loop=Loop) as server:
        response = server.test(body=0, silent=True)
        assert response.status_code == 500
        assert "Max iterations exceeded in step 'l'" in response.body["error"]


def _together(server, *bodies, silent=False):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: server.test(body=body, silent=silent), bodies))
