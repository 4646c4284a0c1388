import asyncio
import time

import pytest

from servegraph import storey


def collect(into, body):
    into.append(body)
    return into


def flow(*steps, **source):
    return storey.build_flow([storey.AsyncEmitSource(**source), *steps]).run()


def awaited(test):
    """Run a test that is a coroutine function."""

    def run():
        asyncio.run(asyncio.wait_for(test(), 60))

    run.__name__ = test.__name__
    return run


async def slow(body):
    await asyncio.sleep(0.01)
    return body + 1


@awaited
async def test_emit_returns_what_comes_to_complete():
    controller = flow(storey.Map(slow), storey.Complete())
    assert await controller.emit(1) == 2
    assert await controller.terminate() is None
    assert await controller.await_termination() is None


@awaited
async def test_the_flow_ends_with_what_reduce_made_also_when_asked_twice():
    controller = flow(storey.Map(slow), storey.Reduce(0, lambda total, x: total + x), buffer_size=3)
    for number in range(10):
        assert await controller.emit(number) is None
    assert await controller.terminate(wait=True) == 55
    assert await controller.await_termination() == 55


@awaited
async def test_callers_do_not_wait_for_each_other():
    async def wait(body):
        await asyncio.sleep(0.1)
        return body

    controller = flow(storey.Map(wait), storey.Complete(), buffer_size=100)
    before = time.perf_counter()
    assert await asyncio.gather(*map(controller.emit, range(100))) == list(range(100))
    assert time.perf_counter() - before < 100 * 0.1 / 5
    await controller.terminate(wait=True)


@awaited
async def test_no_more_events_than_the_buffer_holds_are_on_their_way():
    busy, most = 0, 0

    async def counting(body):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.001)
        busy -= 1

    controller = flow(storey.Map(counting), storey.Complete(), buffer_size=3)
    await asyncio.gather(*map(controller.emit, range(20)))
    await controller.terminate(wait=True)
    assert most == 3


@awaited
async def test_events_leave_in_the_order_in_which_they_were_emitted():
    async def later_for_less(body):
        await asyncio.sleep((20 - body) / 2000)
        return body

    controller = flow(storey.Map(later_for_less), storey.Map(lambda x: x), storey.Reduce([], collect), buffer_size=20)
    for number in range(20):
        await controller.emit(number)
    assert await controller.terminate(wait=True) == list(range(20))


@awaited
async def test_an_error_is_raised_as_the_very_object_that_a_step_raised():
    error = KeyError("one", "two")

    def fail(body):
        raise error

    controller = flow(storey.Map(fail), storey.Complete())
    with pytest.raises(KeyError) as raised:
        await controller.emit(1)
    assert raised.value is error
    with pytest.raises(KeyError) as raised:
        await controller.terminate(wait=True)
    assert raised.value is error


@awaited
async def test_several_results_come_as_a_list():
    controller = flow(storey.FlatMap(lambda n: range(n)), storey.Complete())
    assert await controller.emit(3, expected_number_of_results=3) == [0, 1, 2]
    await controller.terminate(wait=True)


@awaited
async def test_an_event_that_no_step_completes_has_no_result():
    controller = flow(storey.Filter(lambda x: x > 1), storey.Complete())
    assert [await controller.emit(1), await controller.emit(2)] == [None, 2]
    await controller.terminate(wait=True)


@awaited
async def test_a_streamed_result_is_an_async_generator():
    async def count(body):
        for number in range(body):
            yield number

    controller = flow(storey.Map(count), storey.Map(lambda x: x * 10), storey.Complete())
    assert [chunk async for chunk in await controller.emit(3)] == [0, 10, 20]
    await controller.terminate(wait=True)


@awaited
async def test_a_caller_that_gives_up_leaves_the_event_on_its_way():
    released = asyncio.Event()

    async def wait(body):
        await released.wait()
        return body + 1

    controller = flow(storey.Map(wait), storey.Complete(), storey.Reduce([], collect))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(controller.emit(1), 0.3)  # long enough for the flow to start
    released.set()
    assert await controller.terminate(wait=True) == [2]


@awaited
async def test_emit_after_terminate_is_refused():
    controller = flow(storey.Complete())
    await controller.emit(1)
    await controller.terminate()
    with pytest.raises(ValueError, match="Cannot emit to a terminated flow"):
        await controller.emit(1)
    await controller.await_termination()


@awaited
async def test_a_caller_that_emits_without_pause_lets_others_run():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    controller = flow(storey.Complete())
    for number in range(1000):
        await controller.emit(number)
    assert turns > 10
    task.cancel()
    await controller.terminate(wait=True)


@awaited
async def test_what_cannot_be_loaded_is_said_by_the_first_emit_and_at_the_end():
    class Unready(storey.MapClass):
        def post_init(self, mode):
            raise OSError("no file")

        def do(self, body):
            return body

    controller = flow(Unready(), storey.Complete())
    with pytest.raises(ValueError, match="no file"):
        await controller.emit(1)
    with pytest.raises(ValueError, match="no file"):
        await controller.terminate(wait=True)


def test_a_flow_of_coroutines_needs_a_running_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        flow(storey.Complete())
