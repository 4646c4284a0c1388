"""One call shape for all steps: ``call(event)`` returns the event, or what else shall become of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final, TypeAlias

from servegraph.bodies import copy_body, get_path, set_path
from servegraph.engine.bind import Bound, is_async
from servegraph.errors import StepError
from servegraph.events import DROP, Event, Many, Response

Call: TypeAlias = Callable[[Event], Any]
Path: TypeAlias = tuple[str, ...]

AWAITABLE: Final[frozenset[type]] = frozenset({CoroutineType, asyncio.Future, asyncio.Task})
"""What a step may return for the engine to await, told by type because asking by attribute costs more per event."""
_STREAMS: Final[frozenset[type]] = frozenset({GeneratorType, AsyncGeneratorType})
_SPECIAL: Final[frozenset[type]] = AWAITABLE | _STREAMS | {type(DROP), Many}


class Chosen:
    """An event together with the names of the following steps it goes to (``None``: all of them)."""

    __slots__ = ("event", "names")

    def __init__(self, event: Event, names: Any) -> None:
        """Take the event as it left the step, and what its ``select_outlets`` returned."""
        self.event = event
        self.names = names


class Stop:
    """An event that is answered as it is: ``event.terminated`` was set, so the steps that would follow do not run."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        """Take the event as it left the step."""
        self.event = event


class Stream:
    """What a step yields, chunk by chunk: the following steps run for each chunk."""

    __slots__ = ("_store", "iterator")

    def __init__(self, iterator: Any, store: Callable[[Event, Any], Event]) -> None:
        """Take the generator, and how a chunk becomes (part of) a body."""
        self.iterator = iterator
        self._store = store

    def chunk(self, event: Event, item: Any) -> Event:
        """Return the event of one chunk of an event's stream."""
        body = event.body if self._store is _replace else copy_body(event.body)
        chunk: Event = self._store(event.branch(body), item)
        return chunk


def make_call(bound: Bound, input_path: Path, result_path: Path) -> Call:
    """Return the call of a step, with everything decided that can be decided before the first event."""
    if bound.whole:
        call = _whole_async(bound.call) if bound.is_async else _whole(bound.call)
    elif input_path or result_path:
        call = (
            _pathed_async(bound, input_path, result_path) if bound.is_async else _pathed(bound, input_path, result_path)
        )
    else:
        call = _plain_async(bound.call) if bound.is_async else _plain(bound.call)
    if bound.select_outlets is not None:
        return _choosing(call, bound.select_outlets, bound.whole)
    return call


def _plain(function: Callable[[Any], Any]) -> Call:
    def call(event: Event) -> Any:
        result = function(event.body)
        if type(result) in _SPECIAL:
            return _settle(event, result, _replace)
        event.body = result
        return event

    return call


def _plain_async(function: Callable[[Any], Awaitable[Any]]) -> Call:
    async def call(event: Event) -> Any:
        result = await function(event.body)
        if type(result) in _SPECIAL:
            return _settle(event, result, _replace)
        event.body = result
        return event

    return call


def _pathed(bound: Bound, input_path: Path, result_path: Path) -> Call:
    function, store = bound.call, _storing(result_path)

    def call(event: Event) -> Any:
        result = function(get_path(event.body, input_path))
        if type(result) in _SPECIAL:
            return _settle(event, result, store)
        return store(event, result)

    return call


def _pathed_async(bound: Bound, input_path: Path, result_path: Path) -> Call:
    function, store = bound.call, _storing(result_path)

    async def call(event: Event) -> Any:
        result = await function(get_path(event.body, input_path))
        if type(result) in _SPECIAL:
            return _settle(event, result, store)
        return store(event, result)

    return call


def _whole(function: Callable[[Event], Any]) -> Call:
    def call(event: Event) -> Any:
        result = function(event)
        if type(result) is Event and not result.terminated:
            return result
        return _settle(event, result, _as_event)

    return call


def _whole_async(function: Callable[[Event], Awaitable[Any]]) -> Call:
    async def call(event: Event) -> Any:
        result = await function(event)
        if type(result) is Event and not result.terminated:
            return result
        return _settle(event, result, _as_event)

    return call


def _choosing(call: Call, select: Callable[[Any], Any], whole: bool) -> Call:
    selecting_is_async = is_async(select)

    async def later(out: Awaitable[Any]) -> Any:
        done = await out
        if type(done) is not Event:
            return done
        names = select(done if whole else done.body)
        return Chosen(done, await names if selecting_is_async else names)

    async def choose(event: Event) -> Any:
        return Chosen(event, await select(event if whole else event.body))

    def chosen(event: Event) -> Any:
        out = call(event)
        if type(out) is Event:
            return choose(out) if selecting_is_async else Chosen(out, select(out if whole else out.body))
        return later(out) if type(out) in AWAITABLE else out

    return chosen


_Store: TypeAlias = Callable[[Event, Any], Any]


def _settle(event: Event, result: Any, store: _Store) -> Any:
    """Turn what is no ordinary result into what goes on: nothing, several events, or something to await."""
    if result is DROP or type(result) is Many:
        return result
    if type(result) in AWAITABLE:
        return _finish(event, result, store)
    if type(result) in _STREAMS:
        return Stream(result, store)
    return store(event, result)


async def _finish(event: Event, result: Awaitable[Any], store: _Store) -> Any:
    done = await result
    return _settle(event, done, store)


def _replace(event: Event, result: Any) -> Event:
    event.body = result
    return event


def _storing(path: Path) -> _Store:
    if not path:
        return _replace

    def store(event: Event, result: Any) -> Event:
        event.body = set_path(event.body, path, result)
        return event

    return store


def _as_event(event: Event, result: Any) -> Any:
    if isinstance(result, Event):
        return Stop(result) if result.terminated else result
    if isinstance(result, Response):
        return _replace(event, result)
    raise StepError(
        f"a step that gets the whole event must return the event, not {type(result).__name__}; "
        "set event.body and return event, or leave out full_event"
    )
