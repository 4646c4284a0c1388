import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from servegraph import storey
from servegraph.errors import DeadlineExceeded, GraphError


def collect(into, body):
    into.append(body)
    return into


def flow(*steps, **source):
    return storey.build_flow([storey.SyncEmitSource(**source), *steps]).run()


def end_of(controller, bodies):
    for body in bodies:
        controller.emit(body)
    return controller.terminate(wait=True)


async def later_for_less(body):
    await asyncio.sleep((20 - body) / 1000)
    return body


def raising(body):
    raise ZeroDivisionError(f"no {body}")


def test_a_result_is_what_comes_to_complete():
    controller = flow(storey.Map(lambda x: x + 1), storey.Complete())
    assert controller.emit(1).await_result() == 2
    assert controller.emit(2).await_result(timeout=10) == 3
    controller.terminate()
    assert controller.await_termination() is None


def test_a_result_may_be_awaited_again_and_after_termination():
    controller = flow(storey.Map(lambda x: x + 1), storey.Complete())
    result = controller.emit(1)
    controller.terminate(wait=True)
    assert [result.await_result(), result.await_result()] == [2, 2]


def test_without_complete_there_is_no_result_to_await():
    controller = flow(storey.Reduce(0, lambda total, x: total + x))
    assert controller.emit(1) is None
    assert controller.terminate(wait=True) == 1


def test_reduce_is_what_the_flow_ends_with():
    assert end_of(flow(storey.Map(lambda x: x * 2), storey.Reduce(0, lambda total, x: total + x)), range(100)) == 9900


def test_a_flow_runs_again_and_starts_afresh():
    source = storey.build_flow([storey.SyncEmitSource(), storey.Reduce([], collect)])
    assert end_of(source.run(), range(3)) == [0, 1, 2]
    assert end_of(source.run(), range(3)) == [0, 1, 2]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_events_overlap_and_leave_in_the_order_in_which_they_were_emitted(size):
    busy, most = 0, 0

    async def slow(body):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await later_for_less(body)
        busy -= 1
        return body

    controller = flow(storey.Map(slow), storey.Map(lambda x: x), storey.Reduce([], collect), buffer_size=size)
    assert end_of(controller, range(20)) == list(range(20))
    assert most == min(size, 20)


def test_events_overlap_where_a_plain_function_returns_something_to_await():
    controller = flow(storey.Map(lambda x: later_for_less(x)), storey.Reduce([], collect), buffer_size=50)
    assert end_of(controller, range(20)) == list(range(20))


def test_order_is_kept_through_blocking_steps_that_become_quick_and_slow_again():
    def sometimes(body):
        if body % 50 == 7:
            time.sleep(0.002)
        return body

    controller = flow(storey.Map(sometimes), storey.Map(lambda x: x), storey.Reduce([], collect), buffer_size=30)
    assert end_of(controller, range(500)) == list(range(500))


def test_emit_blocks_while_the_buffer_is_full():
    gate, emitted = threading.Event(), []

    async def wait(body):
        while not gate.is_set():
            await asyncio.sleep(0.001)

    controller = flow(storey.Map(wait), buffer_size=4)

    def emit_all():
        for number in range(10):
            controller.emit(number)
            emitted.append(number)

    thread = threading.Thread(target=emit_all)
    thread.start()
    thread.join(0.2)
    assert (thread.is_alive(), emitted) == (True, [0, 1, 2, 3])
    gate.set()
    thread.join(10)
    assert len(emitted) == 10
    controller.terminate(wait=True)


def test_events_that_a_step_holds_take_no_place_in_the_buffer():
    controller = flow(storey.Batch(10, full_event=False), storey.Reduce([], collect), buffer_size=2)
    assert end_of(controller, range(25)) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


def test_callers_of_a_batch_get_their_own_row():
    controller = flow(
        storey.Batch(2, full_event=False), storey.Map(lambda rows: [x * 2 for x in rows]), storey.Complete()
    )
    results = [controller.emit(1), controller.emit(2)]
    assert [result.await_result(10) for result in results] == [2, 4]
    controller.terminate(wait=True)


def test_termination_lets_an_incomplete_batch_go_and_answers_those_who_wait_for_it():
    controller = flow(storey.Batch(10, full_event=False), storey.Complete())
    result = controller.emit(1)
    controller.terminate(wait=True)
    assert result.await_result(0) == 1


def test_an_event_that_no_step_completes_has_no_result():
    controller = flow(storey.Filter(lambda x: x > 1), storey.Complete())
    assert [controller.emit(x).await_result(10) for x in (1, 2)] == [None, 2]
    controller.terminate(wait=True)


def test_waiting_too_long_raises_and_the_event_goes_on():
    gate = threading.Event()
    controller = flow(storey.Map(lambda x: gate.wait(10)), storey.Complete())
    result = controller.emit(1)
    with pytest.raises(TimeoutError, match="still on its way") as raised:
        result.await_result(timeout=0.01)
    assert isinstance(raised.value, DeadlineExceeded)
    gate.set()
    assert result.await_result(10) is True
    controller.terminate(wait=True)


class NeedsTwo(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def test_an_error_is_raised_as_the_very_object_that_a_step_raised():
    error = NeedsTwo(1, 2)

    def fail(body):
        raise error

    controller = flow(storey.Map(fail), storey.Complete())
    with pytest.raises(NeedsTwo) as raised:
        controller.emit(1).await_result(10)
    assert raised.value is error
    controller.terminate()
    for _ in range(2):
        with pytest.raises(NeedsTwo) as raised:
            controller.await_termination()
        assert raised.value is error


def test_where_callers_are_told_one_bad_event_does_not_end_the_flow():
    controller = flow(storey.Map(lambda x: 1 / x), storey.Complete())
    bad = controller.emit(0)
    with pytest.raises(ZeroDivisionError):
        bad.await_result(10)
    assert controller.emit(2).await_result(10) == 0.5
    with pytest.raises(ZeroDivisionError):
        controller.terminate(wait=True)


def test_where_nobody_is_told_a_bad_event_ends_the_flow():
    controller = flow(storey.Map(raising))
    with pytest.raises(ZeroDivisionError, match="no 0"):
        for _ in range(10_000):
            controller.emit(0)
    with pytest.raises(ZeroDivisionError, match="no 0"):
        controller.terminate(wait=True)


def test_a_context_that_keeps_errors_keeps_the_flow_going():
    class Keeping:
        def __init__(self):
            self.kept = []

        def push_error(self, event, message, source):
            self.kept.append((event.body, message, source))

    context = Keeping()
    controller = flow(storey.Map(lambda x: 1 / x), storey.Reduce([], collect), context=context)
    assert end_of(controller, [1, 0, 2]) == [1.0, 0.5]
    assert context.kept == [(0, "ZeroDivisionError: division by zero", "Map")]


def test_a_failing_batch_at_the_end_is_not_lost_silently():
    controller = flow(storey.Batch(10), storey.Map(raising))
    controller.emit(1)
    with pytest.raises(ZeroDivisionError):
        controller.terminate(wait=True)


def test_emit_after_terminate_is_refused():
    controller = flow(storey.Complete())
    controller.terminate()
    controller.terminate()
    with pytest.raises(ValueError, match="Cannot emit to a terminated flow"):
        controller.emit(1)
    controller.await_termination()


def test_waiting_for_an_end_that_nobody_announced_can_be_bounded():
    controller = flow(storey.Complete())
    with pytest.raises(TimeoutError, match="not terminated"):
        controller.await_termination(timeout=0.01)
    controller.terminate(wait=True)


def test_several_results_come_as_a_list_in_the_order_of_arrival():
    controller = flow(storey.FlatMap(lambda n: range(n)), storey.Complete())
    assert controller.emit(3, expected_number_of_results=3).await_result(10) == [0, 1, 2]
    controller.terminate(wait=True)


def test_fewer_results_than_expected_are_all_there_are():
    controller = flow(storey.FlatMap(lambda n: range(n)), storey.Complete())
    assert controller.emit(2, expected_number_of_results=3).await_result(10) == [0, 1]
    assert controller.emit(0, expected_number_of_results=3).await_result(10) == []
    controller.terminate(wait=True)


def test_each_branch_may_complete():
    controller = flow(
        [storey.Map(lambda x: x + 1), storey.Complete()], [storey.Map(lambda x: x - 1), storey.Complete()]
    )
    assert sorted(controller.emit(5, expected_number_of_results=2).await_result(10)) == [4, 6]
    assert controller.emit(5).await_result(10) in (4, 6)
    controller.terminate(wait=True)


def test_what_follows_complete_goes_on_behind_the_result():
    gate = threading.Event()
    controller = flow(storey.Complete(), storey.Map(lambda x: gate.wait(10)), storey.Reduce([], collect))
    assert controller.emit(1).await_result(10) == 1
    gate.set()
    assert controller.terminate(wait=True) == [True]


def test_a_streamed_result_is_a_generator_of_its_chunks():
    def count(body):
        yield from range(body)

    controller = flow(storey.Map(count), storey.Map(lambda x: x * 10), storey.Complete())
    result = controller.emit(3).await_result(10)
    assert next(result) == 0
    assert list(result) == [10, 20]
    controller.terminate(wait=True)


def test_a_stream_that_fails_before_its_first_chunk_is_an_ordinary_error():
    def broken(body):
        raise ZeroDivisionError("early")
        yield

    controller = flow(storey.Map(broken), storey.Complete())
    with pytest.raises(ZeroDivisionError, match="early"):
        controller.emit(3).await_result(10)
    with pytest.raises(ZeroDivisionError, match="early"):
        controller.terminate(wait=True)


def test_results_find_the_caller_that_emitted_from_any_thread():
    controller = flow(storey.Map(lambda x: x + 1), storey.Complete())
    wrong = []

    def work(base):
        wrong.extend(n for n in range(base, base + 100) if controller.emit(n).await_result(30) != n + 1)

    threads = [threading.Thread(target=work, args=(base,)) for base in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    controller.terminate(wait=True)
    assert wrong == []


def test_a_step_that_would_wait_for_its_own_flow_is_told_so():
    controller = flow(storey.Map(lambda body: controller.emit(body)), storey.Complete(), buffer_size=1)
    with pytest.raises(RuntimeError, match="cannot wait for a place in its own flow"):
        controller.emit(1).await_result(10)
    with pytest.raises(RuntimeError):
        controller.terminate(wait=True)


def test_everything_wrong_with_a_flow_is_said_when_it_is_run():
    class Nothing(storey.MapClass):
        select_outlets = None
        do = None

    source = storey.build_flow([storey.SyncEmitSource(), object()])
    with pytest.raises(GraphError):
        source.run()


def test_what_was_emitted_is_let_go_without_a_garbage_collection():
    class Body:
        pass

    controller = flow(storey.Map(lambda body: body), storey.Batch(3), storey.Map(len), storey.Complete())
    bodies = [Body() for _ in range(30)]
    alive = [weakref.ref(body) for body in bodies]
    gc.disable()
    try:
        results = [controller.emit(body) for body in bodies]
        assert {result.await_result(10) for result in results} == {3}
        controller.terminate(wait=True)
        del bodies, results
        assert [ref for ref in alive if ref() is not None] == []
    finally:
        gc.enable()


FORGOTTEN = """
from servegraph import storey
controller = storey.build_flow([storey.SyncEmitSource(), storey.Map(lambda x: x), storey.Complete()]).run()
print(controller.emit(1).await_result())
"""


def test_a_forgotten_flow_keeps_no_process_alive():
    done = subprocess.run([sys.executable, "-c", FORGOTTEN], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
