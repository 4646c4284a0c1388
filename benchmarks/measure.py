"""How one workload is timed: as many calls as fill a slice of time, the mean of them in microseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

SLICE = 0.1
"""How long one measurement takes, in seconds."""

WARM_UP = 200
"""Calls before the first measurement, so that caches, pools and lazy imports are not what is measured."""


def calls(function: Callable[[], Any]) -> float:
    """Return the microseconds that one call takes."""
    count, spent = 1, 0.0
    while spent < SLICE:
        count = max(count * 2, int(count * SLICE / spent * 1.1) if spent else 0)
        rounds = range(count)
        begun = perf_counter()
        for _ in rounds:
            function()
        spent = perf_counter() - begun
    return spent / count * 1e6


def awaits(loop: asyncio.AbstractEventLoop, function: Callable[[], Awaitable[Any]]) -> float:
    """Return the microseconds that one awaited call takes, one after the other in one task of a loop."""

    async def several(count: int) -> float:
        begun = perf_counter()
        for _ in range(count):
            await function()
        return perf_counter() - begun

    count, spent = 1, 0.0
    while spent < SLICE:
        count = max(count * 2, int(count * SLICE / spent * 1.1) if spent else 0)
        spent = loop.run_until_complete(several(count))
    return spent / count * 1e6


def warm(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function after it was called often enough."""
    for _ in range(WARM_UP):
        function()
    return function


def warm_awaits(
    loop: asyncio.AbstractEventLoop, function: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[Any]]:
    """Return the function after it was awaited often enough."""

    async def several() -> None:
        for _ in range(WARM_UP):
            await function()

    loop.run_until_complete(several())
    return function
