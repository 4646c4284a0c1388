"""Hooks that may or may not be async, run in one order that is written once: called as far as it goes, then awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Final

# What hooks nearly always return; asking these whether they can be awaited would cost more than the rest.
_PLAIN: Final = frozenset({dict, list, type(None), str, int, float, bool, tuple})


def drive(steps: Generator[Any, Any, Any]) -> Any:
    """Run a generator that yields the results of hooks and is sent them back once they are there.

    Returns what the generator returns, or a coroutine that finishes it from the first awaitable on.
    """
    value: Any = None
    try:
        while True:
            value = steps.send(value)
            if type(value) not in _PLAIN and isinstance(value, Awaitable):
                return _finish(steps, value)
    except StopIteration as stop:
        return stop.value


async def _finish(steps: Generator[Any, Any, Any], awaitable: Awaitable[Any]) -> Any:
    value: Any = awaitable
    try:
        while True:
            if type(value) not in _PLAIN and isinstance(value, Awaitable):
                value = await value
            value = steps.send(value)
    except StopIteration as stop:
        return stop.value
