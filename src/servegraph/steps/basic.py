"""Steps around one function: Map, Extend, Filter, FlatMap, Flatten, ForEach; and MapClass, Choice to inherit from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from servegraph.bodies import get_path, split_path
from servegraph.context import Context
from servegraph.events import DROP, Event, Many


def with_context(fn: Callable[..., Any], pass_context: bool | None, context: Context | None) -> Callable[[Any], Any]:
    """Return the function with ``context=`` filled in where ``pass_context`` asks for it."""
    return functools.partial(fn, context=context) if pass_context else fn


class Map:
    """Replaces the body by what ``fn(body)`` returns."""

    def __init__(
        self, fn: Callable[..., Any], *, pass_context: bool | None = None, context: Context | None = None
    ) -> None:
        """Take the function, sync or async; with ``pass_context`` it is also given ``context=``."""
        self.do = with_context(fn, pass_context, context)  # type: ignore[assignment, method-assign]

    def do(self, body: Any) -> Any:
        """Return the new body; each instance has its own."""
        raise TypeError("Map was not constructed")


class MapClass:
    """The base of steps written as a class: override ``do``; ``return self.filter()`` drops the event."""

    def do(self, body: Any) -> Any:
        """Return the new body for one event; may be async."""
        raise TypeError(f"{type(self).__name__} must define do(self, body)")

    def filter(self) -> Any:
        """Return what tells the engine to drop the event."""
        return DROP


class _WholeFunctionStep:
    """What steps share that look at part of an event but pass on all of it."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        full_event: bool | None = None,
        input_path: str | None = None,
        pass_context: bool | None = None,
        context: Context | None = None,
    ) -> None:
        """Take the function, sync or async, and what part of the event it sees."""
        self._fn = with_context(fn, pass_context, context)
        self._full_event = bool(full_event)
        self._input_path = split_path(input_path)
        if inspect.iscoroutinefunction(fn):
            self.do_event = self._do_event_async  # type: ignore[method-assign]

    def _seen(self, event: Event) -> Any:
        return event if self._full_event else get_path(event.body, self._input_path)

    def do_event(self, event: Event) -> Any:
        """Call the function on what it sees of the event, and decide what goes on."""
        result = self._fn(self._seen(event))
        return self._later(event, result) if inspect.isawaitable(result) else self._decide(event, result)

    async def _do_event_async(self, event: Event) -> Any:
        return self._decide(event, await self._fn(self._seen(event)))

    async def _later(self, event: Event, result: Any) -> Any:
        return self._decide(event, await result)

    def _decide(self, event: Event, result: Any) -> Any:
        raise TypeError(f"{type(self).__name__} must define _decide")


class Filter(_WholeFunctionStep):
    """Passes on the events for which ``fn(body)`` is true, unchanged."""

    def _decide(self, event: Event, result: Any) -> Any:
        return event if result else DROP


class ForEach(_WholeFunctionStep):
    """Calls ``fn(body)`` for what it does, and passes on the event unchanged."""

    def _decide(self, event: Event, result: Any) -> Any:
        return event


class Extend(_WholeFunctionStep):
    """Adds the items of the dict that ``fn(body)`` returns to the body."""

    def _decide(self, event: Event, result: Any) -> Any:
        if not isinstance(event.body, dict):
            raise TypeError(f"Extend needs dict bodies, not {type(event.body).__name__}")
        event.body = {**event.body, **result}
        return event


class FlatMap(_WholeFunctionStep):
    """Passes on each item that ``fn(body)`` returns as an event of its own (with ``full_event``, items are events)."""

    def _decide(self, event: Event, result: Any) -> Any:
        if not isinstance(result, Iterable):
            raise TypeError(f"FlatMap needs a function that returns a list, not {type(result).__name__}")
        items = [result] if isinstance(result, str | bytes) else result
        if not self._full_event:
            return Many(event.branch(item) for item in items)
        events = [item for item in items if isinstance(item, Event)]
        if len(events) != len(list(items)):
            raise TypeError("FlatMap with full_event needs a function that returns a list of events")
        return Many(events)


class Flatten(FlatMap):
    """Passes on each item of a list body as an event of its own."""

    def __init__(self, *, input_path: str | None = None) -> None:
        """Take the path of the list inside the body, the body itself without one."""
        super().__init__(_same, input_path=input_path)


class Choice:
    """The base of steps that choose: override ``select_outlets(body)`` to return the names of the next steps."""

    def do(self, body: Any) -> Any:
        """Return the body as it is."""
        return body

    def select_outlets(self, body: Any) -> Any:
        """Return the name of the next step, a list of names, ``None`` for all of them, ``[]`` to drop the event."""
        raise TypeError(f"{type(self).__name__} must define select_outlets(self, body)")


class Gather:
    """Passes on every event that arrives: where branches meet again without being joined into one event."""

    QUICK = True

    def do(self, body: Any) -> Any:
        """Return the body as it is."""
        return body


def _same(body: Any) -> Any:
    return body
