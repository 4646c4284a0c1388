import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from servegraph.pools.threads import ThreadPool


def test_calls_run_side_by_side_and_return_their_results():
    async def main():
        pool, meet = ThreadPool(4), threading.Barrier(4, timeout=10)
        return await asyncio.gather(*[pool.run(lambda number: (meet.wait(), number)[1], each) for each in range(4)])

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_no_more_threads_are_started_than_allowed_and_all_calls_are_made():
    async def main():
        pool, names = ThreadPool(2), set()
        await asyncio.gather(*[pool.run(lambda: names.add(threading.current_thread().name)) for _ in range(50)])
        return names

    assert 1 <= len(asyncio.run(main())) <= 2


def test_an_exception_reaches_the_one_who_waits():
    async def main():
        await ThreadPool(1).run(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(main())


def test_the_context_of_the_caller_is_seen_in_the_thread():
    variable = contextvars.ContextVar("variable", default=0)

    async def main():
        variable.set(7)
        return await ThreadPool(1).run(variable.get)

    assert asyncio.run(main()) == 7


def test_an_abandoned_call_ends_with_its_after_and_its_thread_serves_again():
    async def main():
        pool, released, ended = ThreadPool(1), threading.Event(), asyncio.Event()
        call = pool.run(released.wait, 10, after=ended.set)
        await asyncio.sleep(0.01)
        call.cancel()
        released.set()
        await asyncio.wait_for(ended.wait(), 5)
        return await pool.run(lambda: "next")

    assert asyncio.run(main()) == "next"


def test_a_waiting_thread_keeps_nothing_of_its_last_call_alive():
    class Body:
        pass

    async def main():
        pool, body = ThreadPool(1), Body()
        seen = weakref.ref(body)
        await pool.run(lambda given: None, body)
        del body
        for _ in range(100):
            gc.collect()
            if seen() is None:
                return True
            await asyncio.sleep(0.01)
        return False

    assert asyncio.run(main())


def test_a_blocked_thread_does_not_keep_the_process_from_exiting():
    code = (
        "import asyncio, time\nfrom servegraph.pools.threads import ThreadPool\n"
        "async def main():\n    ThreadPool(1).run(time.sleep, 60)\n    await asyncio.sleep(0.05)\nasyncio.run(main())"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0
