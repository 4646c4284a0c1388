import asyncio
import threading

import pytest

from servegraph.pools.loop import LoopThread


async def where():
    return threading.current_thread().name


def test_coroutines_run_on_a_daemon_thread_of_that_name():
    loop = LoopThread("my-loop")
    assert loop.run(where()) == "my-loop"
    assert next(each for each in threading.enumerate() if each.name == "my-loop").daemon
    loop.close()


def test_closing_cancels_what_still_runs_and_the_next_run_starts_afresh():
    loop, seen = LoopThread(), []

    async def forever():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def start():
        seen.append(asyncio.ensure_future(forever()))
        await asyncio.sleep(0)

    loop.run(start())
    loop.close()
    assert seen[1] == "cancelled"
    assert loop.run(where()) == "servegraph-loop"
    loop.close()


def test_waiting_for_the_loop_on_the_loop_is_refused_with_a_reason():
    loop = LoopThread()

    async def nested():
        loop.run(where())

    with pytest.raises(RuntimeError, match="make the step async"):
        loop.run(nested())
    loop.close()
