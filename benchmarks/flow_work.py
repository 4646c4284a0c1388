"""What flows.py measures in servegraph and, in a process of its own, in storey: the functions and the drivers.

Needs nothing but the standard library, so that it runs in the environment of either.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter, thread_time
from typing import Any

LANES = 64
"""Events in flight in the workloads whose callers wait for answers."""
CPU_SECONDS = 0.005
IO_SECONDS = 0.005
PROCESSES = 2
SLICE = 0.3
"""How long one measurement takes at least, in seconds."""


def add(body):
    """The trivial step."""
    return body + 1


async def add_soon(body):
    """The trivial step, async."""
    return body + 1


async def wait(body):
    """A step that waits for something outside."""
    await asyncio.sleep(IO_SECONDS)
    return body


def compute(body):
    """A step that needs a core to itself for a while."""
    until = thread_time() + CPU_SECONDS
    while thread_time() < until:
        pass
    return body


async def answered(ask: Callable[[int], Awaitable[Any]], count: int) -> float:
    """Return the seconds in which so many events are answered, of which LANES are in flight."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await ask(number)

    begun = perf_counter()
    await asyncio.gather(*[lane() for _ in range(LANES)])
    return perf_counter() - begun


def rate(loop: asyncio.AbstractEventLoop, spend: Callable[[int], Awaitable[float]], start: int) -> float:
    """Return events per second, given what takes so many events and returns the seconds it took."""
    count, spent = start, loop.run_until_complete(spend(start))
    while spent < SLICE:
        count = int(count * max(2, SLICE / spent * 1.2))
        spent = loop.run_until_complete(spend(count))
    return count / spent


def ideal() -> float:
    """Return how often PROCESSES processes together can ``compute`` in a second, with nothing between them."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from flow_work import compute, perf_counter; input()\n"
        "begun = perf_counter()\nfor _ in range(100): compute(None)\nprint(100 / (perf_counter() - begun))"
    )
    command = [sys.executable, "-c", program, os.path.dirname(os.path.abspath(__file__))]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in both)
