"""Events do not wait for each other, and a step that blocks holds up nobody, from its very first call.

Run with ``-s`` to see the figures.
"""

import asyncio
import contextlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import pytest
from tests.acceptance.processes import serving

import servegraph
from servegraph.serve.http import serve_in_background


async def waits(body):
    await asyncio.sleep(0.2)
    return body


def sleeps(body):
    time.sleep(0.2)
    return body


BLOCKING = """
import time
import servegraph

def sleeps(body):
    time.sleep(2)
    return True

def computes(body):
    until, number = time.monotonic() + 2, 0
    while time.monotonic() < until:
        number += 1
    return True

{step}_function = servegraph.new_function("blocking")
{step}_function.set_topology("flow").to(name="s", handler={step}).respond()
"""


@contextlib.contextmanager
def served(step):
    fn = servegraph.new_function("busy")
    fn.set_topology("flow").to(name="s", handler=step).respond()
    with serve_in_background(fn.builder()) as address:
        yield address


def all_at_once(address, count):
    """Send so many requests at once, each with a body of its own; return the seconds until the last was answered."""

    async def send():
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=30) as client:
            await client.get("/healthz")
            begun = time.monotonic()
            answers = await asyncio.gather(*(client.post("/", json=number) for number in range(count)))
            assert [answer.json() for answer in answers] == list(range(count))
            return time.monotonic() - begun

    return asyncio.run(send())


def test_100_requests_to_a_step_that_awaits_go_side_by_side():
    with served(waits) as address:
        seconds = all_at_once(address, 100)
    print(f"\n100 requests to a step that awaits 0.2 s: {seconds:.3f} s (one after the other: 20 s)")
    assert seconds < 4


def test_40_requests_to_a_step_that_sleeps_go_side_by_side():
    with served(sleeps) as address:
        seconds = all_at_once(address, 40)
    print(f"\n40 requests to a step that sleeps 0.2 s: {seconds:.3f} s (one after the other: 8 s)")
    assert seconds < 3


@pytest.mark.parametrize("step", ["sleeps", "computes"])
def test_the_first_call_of_a_step_that_blocks_for_2_s_does_not_delay_health(step, tmp_path):
    (tmp_path / "blocking.py").write_text(BLOCKING.format(step=step))
    with (
        serving(tmp_path, "blocking.py") as server,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(base_url=server.address) as client,
    ):
        assert client.get("/healthz").status_code == 200
        blocked = pool.submit(httpx.post, server.address, json=1, timeout=30)
        delays = []
        while not blocked.done():
            begun = time.monotonic()
            assert client.get("/healthz").status_code == 200
            delays.append(time.monotonic() - begun)
            wait([blocked], timeout=0.01)
        assert blocked.result().json() is True
    median, longest = statistics.median(delays) * 1e3, max(delays) * 1e3
    print(f"\n{len(delays)} health answers while a step {step}: median {median:.1f} ms, longest {longest:.1f} ms")
    assert len(delays) > 5
    assert median < 50
    assert longest < 500
