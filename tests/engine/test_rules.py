"""The rules of a graph (design, R1-R7), each on both engines where it applies."""

import asyncio
import itertools
import sys
import threading
import time

import pytest
from tests.engine.graphs import Records, flow, mock

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.errors import BadEvent, DeadlineExceeded, GraphError, ServerError
from servegraph.events import DROP, Many, Response
from servegraph.graph.spec import from_dict
from servegraph.serve.settings import Settings

ENGINES = ("sync", "async")
engines = pytest.mark.parametrize("engine", ENGINES)
flavours = pytest.mark.parametrize("increase", ["plain", "awaited"])


def plain(body):
    return body + 1


async def awaited(body):
    await asyncio.sleep(0)
    return body + 1


def boom(body):
    raise ValueError("bad")


def keep(event):
    event.body = {"handled": str(event.error), "from": event.origin_state, "body": event.body}
    return event


NAMES = {"plain": plain, "awaited": awaited, "boom": boom, "keep": keep}


# R1 answering


@engines
@flavours
def test_the_responder_at_the_end_answers(engine, increase):
    graph = flow(
        engine,
        a={"handler": increase},
        b={"after": "a", "handler": increase},
        c={"after": "b", "handler": increase, "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == 4


@engines
def test_a_responder_in_the_middle_answers_with_what_left_it_and_the_rest_goes_on(engine):
    seen = []

    def late(body):
        body["late"] = True
        seen.append(body)
        return body

    graph = flow(
        engine,
        a={"handler": "(event | {'a': 1})", "responder": True},
        b={"after": "a", "handler": "late"},
    )
    with mock(graph, late=late) as server:
        assert server.test(body={}) == {"a": 1}
        server.wait_for_completion()
        assert seen == [{"a": 1, "late": True}]


def test_the_answer_does_not_wait_for_what_goes_on_behind_the_responder():
    released = threading.Event()
    done = []

    def slow(body):
        released.wait(10)
        done.append(body)

    graph = flow("async", a={"handler": "plain", "responder": True}, b={"after": "a", "handler": "slow"})
    with mock(graph, slow=slow, **NAMES) as server:
        assert server.test(body=1) == 2
        assert done == []
        released.set()
        server.wait_for_completion()
        assert done == [2]


@engines
def test_two_responders_are_a_definition_error(engine):
    graph = flow(
        engine, a={"handler": "plain", "responder": True}, b={"after": "a", "handler": "plain", "responder": True}
    )
    with pytest.raises(GraphError, match="only one step can respond"):
        mock(graph, **NAMES)


def test_an_async_flow_without_a_responder_answers_with_the_id_and_202():
    done = []
    graph = flow("async", a={"handler": "plain"}, b={"after": "a", "handler": "note"})
    with mock(graph, note=done.append, **NAMES) as server:
        response = server.test(body=1, event_id="e1", get_body=False)
        assert (response.status_code, response.body) == (202, {"id": "e1"})
        server.wait_for_completion()
        assert done == [2]


def test_a_receipt_does_not_wait_for_the_work():
    released = threading.Event()
    graph = flow("async", a={"handler": "block"})
    with mock(graph, block=lambda body: released.wait(10)) as server:
        assert server.test(body=1, event_id="e1") == {"id": "e1"}
        released.set()


def test_a_sync_flow_without_a_responder_answers_with_what_the_last_step_left():
    with mock(flow("sync", a={"handler": "plain"}, b={"after": "a", "handler": "plain"}), **NAMES) as server:
        assert server.test(body=1) == 3


def test_the_sync_engine_runs_branches_in_order_of_definition_and_the_last_answers():
    order = []

    def note(name):
        def step(body):
            order.append(name)
            return name

        return step

    graph = flow(
        "sync",
        root={"handler": "plain"},
        c={"after": "root", "handler": "c"},
        a={"after": "root", "handler": "a"},
        b={"after": "root", "handler": "b"},
    )
    with mock(graph, a=note("a"), b=note("b"), c=note("c"), plain=plain) as server:
        assert server.test(body=1) == "b"
        assert order == ["c", "a", "b"]


def test_in_the_sync_engine_respond_wins_over_the_last_step():
    graph = flow(
        "sync",
        root={"handler": "plain"},
        a={"after": "root", "handler": "plain", "responder": True},
        b={"after": "root", "handler": "(0)"},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == 3


@engines
def test_a_responder_reached_twice_answers_once_with_the_first(engine):
    graph = flow(
        engine,
        a={"handler": "('a')"},
        b={"after": "a", "handler": "(event + 'b')"},
        c={"after": "a", "handler": "(event + 'c')"},
        d={"after": ["b", "c"], "handler": "note", "responder": True},
    )
    seen = []

    def note(body):
        seen.append(body)
        return body

    with mock(graph, note=note) as server:
        answer = server.test(body="")
        server.wait_for_completion()
        assert answer == seen[0]
        assert sorted(seen) == ["ab", "ac"]


@engines
def test_a_response_of_a_step_decides_status_and_headers(engine):
    teapot = Response({"short": "stout"}, 418, {"x-kind": "tea"})
    with mock(flow(engine, a={"handler": "answer", "responder": True}), answer=lambda body: teapot) as server:
        response = server.test(body=1, silent=True)
        assert (response.status_code, response.body, response.headers) == (418, {"short": "stout"}, {"x-kind": "tea"})


@engines
def test_a_terminated_event_is_answered_without_running_the_rest(engine):
    ran = []

    def stop(event):
        event.body, event.terminated = "enough", True
        return event

    graph = flow(
        engine,
        a={"handler": "stop", "full_event": True},
        b={"after": "a", "handler": "note", "responder": True},
    )
    with mock(graph, stop=stop, note=ran.append) as server:
        assert server.test(body=1) == "enough"
        assert ran == []


# R2 nothing hangs


@engines
def test_a_dropped_event_gets_an_empty_answer(engine):
    graph = flow(engine, a={"handler": "drop"}, b={"after": "a", "handler": "plain", "responder": True})
    with mock(graph, drop=lambda body: DROP, **NAMES) as server:
        response = server.test(body=1, get_body=False)
        assert (response.status_code, response.body) == (204, None)


@engines
@pytest.mark.parametrize("choice", [[], ()])
def test_a_choice_of_nothing_gets_an_empty_answer(engine, choice):
    class Pick:
        def select_outlets(self, body):
            return choice

    graph = flow(engine, a={"class_name": "Pick"}, b={"after": "a", "handler": "plain", "responder": True})
    with mock(graph, Pick=Pick, **NAMES) as server:
        assert server.test(body=1, get_body=False).status_code == 204


def test_the_deadline_answers_504_while_an_awaiting_step_is_cancelled():
    cancelled = []

    async def forever(body):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(body)
            raise

    graph = flow("async", a={"handler": "forever", "responder": True})
    with mock(graph, forever=forever, settings=Settings(request_timeout=0.05)) as server:
        response = server.test(body=1, silent=True)
        assert response.status_code == 504
        assert response.body["type"] == "DeadlineExceeded"
        assert response.body["step"] == "a"
        assert cancelled == [1]


@engines
def test_the_deadline_answers_504_while_a_blocking_step_is_abandoned(engine):
    released, after = threading.Event(), []
    graph = flow(
        engine, a={"handler": "block", "run_in": "thread"}, b={"after": "a", "handler": "note", "responder": True}
    )
    options = {"settings": Settings(request_timeout=0.05), "calling": False}
    with mock(graph, block=lambda body: released.wait(10), note=after.append, **options) as server:
        assert server.test(body=1, silent=True).status_code == 504
        released.set()
        assert server.test(body=1, get_body=False).status_code == 200
        assert len(after) == 1


def test_on_the_callers_thread_the_deadline_is_checked_between_steps():
    graph = flow("sync", a={"handler": "slow"}, b={"after": "a", "handler": "plain"})
    with mock(
        graph, slow=lambda body: time.sleep(0.05) or body, settings=Settings(request_timeout=0.02), **NAMES
    ) as server:
        assert server.server.calls
        response = server.test(body=1, silent=True)
        assert response.status_code == 504
        assert response.body["step"] == "b"


@engines
def test_a_step_that_calls_sys_exit_fails_its_event_only(engine):
    graph = flow(engine, a={"handler": "leave", "responder": True})
    with mock(graph, leave=lambda body: sys.exit(3) if body else body) as server:
        assert server.test(body=1, silent=True).status_code == 500
        assert server.test(body=0) == 0


def test_completion_can_be_waited_for_again_and_again():
    done = []
    with mock(flow("async", a={"handler": "note"}), note=done.append) as server:
        for number in range(3):
            server.test(body=number)
            server.wait_for_completion()
            assert done == list(range(number + 1))


# R3 concurrency


def test_a_hundred_events_wait_side_by_side():
    async def wait(body):
        await asyncio.sleep(0.2)
        return body

    with mock(flow("async", a={"handler": "wait", "responder": True}), wait=wait) as server:
        before = time.monotonic()
        assert _all(server, 100) == list(range(100))
        assert time.monotonic() - before < 2


@engines
def test_functions_run_side_by_side_in_threads(engine):
    meet = threading.Barrier(8, timeout=10)
    graph = flow(engine, a={"handler": "together", "responder": True})
    with mock(graph, calling=False, together=lambda body: meet.wait() and body) as server:
        _all(server, 8)


@engines
@pytest.mark.parametrize("calling", [True, False])
def test_an_instance_runs_one_call_at_a_time(engine, calling):
    class Alone:
        inside = 0

        def do(self, body):
            self.inside += 1
            most = self.inside
            time.sleep(0.002)
            self.inside -= 1
            return most

    with mock(flow(engine, a={"class_name": "Alone", "responder": True}), calling=calling, Alone=Alone) as server:
        assert server.server.calls is calling
        assert _all(server, 20) == [1] * 20


def test_max_in_flight_lets_more_calls_into_an_instance():
    meet = threading.Barrier(3, timeout=10)

    class Three:
        def do(self, body):
            meet.wait()
            return body

    graph = flow("async", a={"class_name": "Three", "responder": True, "max_in_flight": 3})
    with mock(graph, calling=False, Three=Three) as server:
        assert _all(server, 3) == [0, 1, 2]


def test_beyond_what_may_wait_events_are_refused_with_retry_after():
    released = threading.Event()
    graph = flow("async", a={"handler": "block", "responder": True})
    settings = Settings(max_in_flight=1, max_waiting=1)

    def block(body):
        return released.wait(10) and body

    with mock(graph, calling=False, settings=settings, block=block) as server, _pool(3) as pool:
        answers = [pool.submit(server.test, body=1, silent=True)]
        _until(lambda: server.server.in_flight == 1)
        answers.append(pool.submit(server.test, body=1, silent=True))
        _until(lambda: server.server._gate.waiting == 1)
        refused = server.test(body=1, silent=True)
        released.set()
        assert (refused.status_code, refused.body["type"]) == (503, "Overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert [answer.result() for answer in answers] == [1, 1]


# R4 blocking code


def test_a_step_that_proves_quick_moves_to_the_loop_and_back_after_a_slow_call():
    threads = []

    def step(body):
        threads.append(threading.current_thread().name)
        time.sleep(body)
        return body

    with mock(flow("async", a={"handler": "step", "responder": True}), calling=False, step=step) as server:
        for _ in range(200):
            server.test(body=0)
            if threads[-1] == "servegraph-mock":
                break
        assert threads[0].startswith("servegraph-worker")
        assert threads[-1] == "servegraph-mock"
        server.test(body=0.005)
        server.test(body=0)
        assert threads[-1].startswith("servegraph-worker")


@pytest.mark.parametrize(("run_in", "thread"), [("loop", "servegraph-mock"), ("thread", "servegraph-worker")])
def test_run_in_says_where_a_step_runs(run_in, thread):
    graph = flow("async", a={"handler": "where", "run_in": run_in, "responder": True})
    with mock(graph, calling=False, where=lambda body: threading.current_thread().name) as server:
        assert {
            server.test(body=1).rpartition("-")[0] if run_in == "thread" else server.test(body=1) for _ in range(50)
        } == {thread}


# R5 branches


@engines
@pytest.mark.parametrize("body", [{"deep": [{"x": 1}]}, [[1], [2]], {"set": {1}}, {"t": ([1],)}])
def test_what_one_branch_changes_no_other_sees(engine, body):
    seen = []

    def spoil(body):
        _spoil(body)
        return body

    def look(body):
        seen.append(body)
        return body

    graph = flow(
        engine,
        a={"handler": "(event)"},
        b={"after": "a", "handler": "spoil"},
        c={"after": "a", "handler": "look", "responder": True},
        d={"after": "a", "handler": "spoil"},
    )
    with mock(graph, spoil=spoil, look=look) as server:
        assert server.test(body=body) == body
        server.wait_for_completion()
        assert seen == [body]


@engines
def test_a_test_never_changes_the_callers_own_body(engine):
    body = {"rows": [1, 2]}
    with mock(flow(engine, a={"handler": "spoil", "responder": True}), spoil=_spoil) as server:
        server.test(body=body)
        assert body == {"rows": [1, 2]}


@engines
@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_a_failing_side_branch_never_changes_the_answer(engine, order):
    steps = {
        "bad": {"after": "root", "handler": "boom"},
        "good": {"after": "root", "handler": "plain", "responder": True},
    }
    errors = Records()
    graph = flow(engine, root={"handler": "plain"}, **{name: steps[name] for name in order})
    with mock(graph, errors=errors, **NAMES) as server:
        assert server.test(body=1) == 3
        server.wait_for_completion()
        assert [record["source"] for record in errors.records] == ["bad"]


@engines
def test_a_body_that_cannot_be_copied_for_branches_fails_its_event_with_a_reason(engine):
    graph = flow(
        engine,
        a={"handler": "lock"},
        b={"after": "a", "handler": "plain"},
        c={"after": "a", "handler": "plain", "responder": True},
    )
    with mock(graph, lock=lambda body: threading.Lock(), **NAMES) as server:
        response = server.test(body=1, silent=True)
        assert response.status_code == 500
        assert "cannot be copied" in response.body["error"]
        assert response.body["step"] == "a"


def test_branches_run_side_by_side_in_the_async_engine():
    meet = threading.Barrier(3, timeout=10)
    graph = flow(
        "async",
        a={"handler": "together"},
        b={"handler": "together"},
        c={"handler": "together", "responder": True},
    )
    with mock(graph, together=lambda body: (meet.wait() and body) or body) as server:
        assert server.test(body=5) == 5


# R6 joining


@engines
def test_a_step_with_two_parents_runs_once_for_each(engine):
    rows = []
    graph = flow(
        engine,
        double={"handler": "(event * 2)"},
        add3={"after": "double", "handler": "(event + 3)"},
        add2={"after": "double", "handler": "(event + 2)"},
        gather={"after": ["add2", "add3"], "class_name": "Gather"},
        rows={"after": "gather", "handler": "note"},
    )
    with mock(graph, note=rows.append) as server:
        for number in range(5):
            server.test(body=number)
        server.wait_for_completion()
        assert sorted(rows) == sorted([number * 2 + add for number in range(5) for add in (2, 3)])


@engines
def test_one_event_may_become_several(engine):
    rows = []

    def spread(event):
        return Many(event.branch(item) for item in event.body)

    graph = flow(engine, a={"handler": "spread", "full_event": True}, b={"after": "a", "handler": "note"})
    with mock(graph, spread=spread, note=rows.append) as server:
        server.test(body=[1, 2, 3])
        server.wait_for_completion()
        assert rows == [1, 2, 3]


# R7 errors


@engines
@flavours
def test_an_error_handler_gets_error_origin_and_the_body_as_it_entered_the_step(engine, increase):
    graph = flow(
        engine,
        a={"handler": increase},
        b={"after": "a", "handler": "boom", "on_error": "c"},
        c={"kind": "error_step", "handler": "keep", "full_event": True},
        z={"after": "b", "handler": increase, "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == {"handled": "bad", "from": "b", "body": 2}


@engines
def test_after_before_the_flow_goes_on(engine):
    def last(body):
        body["z"] = 1
        return body

    graph = flow(
        engine,
        a={"handler": "boom", "on_error": "c"},
        c={"kind": "error_step", "handler": "keep", "full_event": True, "before": ["z"]},
        y={"after": "a", "handler": "plain"},
        z={"after": "y", "handler": "last", "responder": True},
    )
    with mock(graph, last=last, **NAMES) as server:
        assert server.test(body=1) == {"handled": "bad", "from": "a", "body": 1, "z": 1}


@engines
def test_the_handler_of_a_graph_catches_what_has_none(engine):
    graph = flow(
        engine,
        on_error="all",
        a={"handler": "plain"},
        b={"after": "a", "handler": "boom", "responder": True},
        all={"kind": "error_step", "handler": "keep", "full_event": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1)["from"] == "b"


@engines
def test_a_step_handler_goes_before_the_handler_of_the_graph(engine):
    graph = flow(
        engine,
        on_error="all",
        a={"handler": "boom", "on_error": "own", "responder": True},
        own={"kind": "error_step", "handler": "('own')"},
        all={"kind": "error_step", "handler": "('all')"},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == "own"


@engines
def test_a_handler_of_a_side_branch_does_not_answer(engine):
    graph = flow(
        engine,
        bad={"handler": "boom", "on_error": "h"},
        good={"handler": "slow", "responder": True},
        h={"kind": "error_step", "handler": "('handled')"},
    )

    async def slow(body):
        await asyncio.sleep(0.02)
        return "answer"

    with mock(graph, slow=slow, **NAMES) as server:
        assert server.test(body=1) == "answer"


@engines
def test_a_failing_handler_fails_the_event(engine):
    graph = flow(
        engine,
        a={"handler": "boom", "on_error": "h", "responder": True},
        h={"kind": "error_step", "handler": "worse"},
    )

    def worse(body):
        raise KeyError("worse")

    with mock(graph, worse=worse, **NAMES) as server:
        response = server.test(body=1, silent=True)
        assert response.body | {"id": ""} == {"error": "missing key 'worse'", "type": "KeyError", "step": "h", "id": ""}


@engines
def test_an_unhandled_error_is_logged_once_recorded_once_and_answered(engine, caplog):
    errors = Records()
    with mock(flow(engine, a={"handler": "boom", "responder": True}), errors=errors, **NAMES) as server:
        response = server.test(body={"x": 1}, event_id="e7", silent=True)
        assert response.status_code == 500
        assert response.body == {"error": "bad", "type": "ValueError", "step": "a", "id": "e7"}
        assert response.content_type == "application/json"
        (line,) = [each.getMessage() for each in caplog.records]
        assert "e7" in line
        assert "'a'" in line
        (record,) = errors.records
        assert record["event"] == {"id": "e7", "path": "/", "key": None, "body": {"x": 1}}
        assert (record["source"], record["message"]) == ("a", "ValueError: bad")


@engines
def test_test_raises_with_the_steps_own_exception_as_cause(engine):
    with mock(flow(engine, a={"handler": "boom", "responder": True}), **NAMES) as server:
        with pytest.raises(ServerError, match=r"failed \(500\): bad") as caught:
            server.test(body=1)
        assert isinstance(caught.value.__cause__, ValueError)
        assert isinstance(caught.value, RuntimeError)


class Teapot(Exception):
    status_code = 418


class Odd(Exception):
    status_code = 42


@engines
@pytest.mark.parametrize(
    ("error", "status"),
    [(BadEvent("x"), 400), (Teapot("x"), 418), (Odd("x"), 500), (ValueError("x"), 500), (DeadlineExceeded("x"), 504)],
)
def test_the_status_comes_from_the_error(engine, error, status):
    def fail(body):
        raise error

    with mock(flow(engine, a={"handler": "fail", "responder": True}), fail=fail) as server:
        assert server.test(body=1, silent=True).status_code == status


@engines
def test_one_of_two_ways_to_the_responder_may_fail(engine):
    graph = flow(
        engine,
        a={"handler": "plain"},
        b={"after": "a", "handler": "boom"},
        c={"after": "a", "handler": "plain"},
        d={"after": ["b", "c"], "handler": "plain", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == 4


@engines
def test_when_all_ways_to_the_responder_fail_the_first_failure_is_the_answer(engine):
    graph = flow(
        engine,
        a={"handler": "plain"},
        b={"after": "a", "handler": "boom"},
        c={"after": "a", "handler": "boom"},
        d={"after": ["b", "c"], "handler": "plain", "responder": True},
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1, silent=True).body["step"] in ("b", "c")


def test_the_error_answer_does_not_wait_for_a_side_branch():
    released = threading.Event()
    graph = flow(
        "async",
        a={"handler": "plain"},
        side={"after": "a", "handler": "block"},
        main={"after": "a", "handler": "boom", "responder": True},
    )
    with mock(graph, block=lambda body: released.wait(10), **NAMES) as server:
        assert server.test(body=1, silent=True).status_code == 500
        released.set()


# Queues


@engines
def test_a_queue_hands_on_in_the_mock_and_a_stream_is_refused_where_it_would_be_real(engine):
    graph = flow(
        engine, q={"kind": "queue", "path": "kafka://b/t"}, b={"after": "q", "handler": "plain", "responder": True}
    )
    with mock(graph, **NAMES) as server:
        assert server.test(body=1) == 2
    names = Names([NAMES])
    with pytest.raises(GraphError, match="step 'q': the stream 'kafka://b/t' is not written to"):
        compile_graph(from_dict(graph), names, Context())


# R8 any step


@engines
@flavours
def test_a_step_is_retried_as_often_as_it_says_with_the_body_as_it_came(engine, increase):
    calls = []

    def flaky(event):
        calls.append(event.body)
        event.body = "changed"
        if len(calls) < 3:
            raise ConnectionError("again")
        event.body = "done"
        return event

    graph = flow(
        engine, a={"handler": "flaky", "full_event": True, "retries": 2, "backoff_factor": 0.001, "responder": True}
    )
    with mock(graph, flaky=flaky) as server:
        assert server.test(body="first") == "done"
        assert calls == ["first"] * 3


def test_a_step_that_proved_quick_keeps_its_retries():
    calls = []

    def flaky(body):
        calls.append(body)
        if calls.count(body) == 1:
            raise ConnectionError("first")
        return body

    graph = flow("async", a={"handler": "flaky", "retries": 1, "backoff_factor": 0, "responder": True})
    with mock(graph, calling=False, flaky=flaky) as server:
        assert [server.test(body=number) for number in range(80)] == list(range(80))


def test_max_in_flight_also_bounds_what_a_sync_function_returns_to_await():
    inside, most = [0], [0]

    async def work(body):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await asyncio.sleep(0.005)
        inside[0] -= 1
        return body

    graph = flow("async", a={"handler": "start", "max_in_flight": 2, "responder": True})
    with mock(graph, calling=False, start=lambda body: work(body)) as server:
        assert _all(server, 12) == list(range(12))
        assert most == [2]


@engines
def test_when_the_retries_are_used_up_the_last_error_is_the_answer(engine):
    calls = []

    def flaky(body):
        calls.append(body)
        raise ConnectionError(f"number {len(calls)}")

    graph = flow(engine, a={"handler": "flaky", "retries": 2, "backoff_factor": 0.001, "responder": True})
    with mock(graph, flaky=flaky) as server:
        assert server.test(body=1, silent=True).body["error"] == "number 3"


@engines
def test_the_wait_before_a_retry_doubles(engine):
    times = []

    def flaky(body):
        times.append(time.monotonic())
        raise ConnectionError("no")

    graph = flow(engine, a={"handler": "flaky", "retries": 3, "backoff_factor": 0.02, "responder": True})
    with mock(graph, flaky=flaky) as server:
        server.test(body=1, silent=True)
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.02, 0.04, 0.08), strict=True))


@engines
@pytest.mark.parametrize("blocking", [True, False])
def test_a_step_that_takes_longer_than_its_timeout_answers_504(engine, blocking):
    released = threading.Event()

    async def wait(body):
        await asyncio.sleep(30)

    def block(body):
        released.wait(10)

    graph = flow(engine, a={"handler": "slow", "timeout": 0.03, "responder": True})
    with mock(graph, slow=block if blocking else wait) as server:
        response = server.test(body=1, silent=True)
        released.set()
        assert response.status_code == 504
        assert response.body["step"] == "a"
        assert "timeout of 0.03 s" in response.body["error"]


@engines
def test_a_handler_may_save_an_event_whose_step_took_too_long(engine):
    async def wait(body):
        await asyncio.sleep(30)

    graph = flow(
        engine,
        a={"handler": "wait", "timeout": 0.03, "on_error": "h", "responder": True},
        h={"kind": "error_step", "handler": "('fallback')"},
    )
    with mock(graph, wait=wait) as server:
        assert server.test(body=1) == "fallback"


# R13 the mock


@engines
def test_the_mock_records_what_failed_for_good(engine):
    with mock(flow(engine, a={"handler": "boom", "responder": True}), **NAMES) as server:
        server.test(body=1, event_id="e1", silent=True)
        (record,) = server.errors
        assert (record["event"]["id"], record["source"]) == ("e1", "a")


def _spoil(body):
    if isinstance(body, dict):
        for value in body.values():
            _spoil(value)
        body["spoilt"] = True
    elif isinstance(body, list):
        for value in body:
            _spoil(value)
        body.append("spoilt")
    elif isinstance(body, set):
        body.add("spoilt")
    elif isinstance(body, tuple):
        for value in body:
            _spoil(value)
    return body


def _pool(size):
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(size)


def _all(server, count):
    with _pool(count) as pool:
        return list(pool.map(lambda number: server.test(body=number), range(count)))


def _until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.002)
