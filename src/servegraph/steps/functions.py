"""Steps around one function: Map, Filter, ForEach, Extend, FlatMap and Flatten."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Unpack

from servegraph.bodies import copy_body, get_path, set_path
from servegraph.events import DROP, Event, Many
from servegraph.steps.base import Options, StepBase, awaits, checked, is_free, keys_of, with_context


class FunctionStep(StepBase):
    """What the steps around one function share."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        long_running: bool | None = None,
        pass_context: bool | None = None,
        fn_select_outlets: Callable[[Any], Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the function, sync or async.

        ``pass_context`` also gives it ``context=``; ``fn_select_outlets`` is asked, with the new body, for the names
        of the steps that follow. ``long_running`` changes nothing: what blocks runs in a worker thread anyway.
        """
        super().__init__(**options)
        self.fn = checked(fn, f"the fn of {type(self).__name__}")
        self.long_running = long_running
        self.pass_context = pass_context
        self.calls_may_overlap = is_free(fn)
        self._call = with_context(self, fn) if pass_context else fn
        if fn_select_outlets is not None:
            self.select_outlets = _by_body(checked(fn_select_outlets, "fn_select_outlets"))


class Map(FunctionStep):
    """Replaces the body by what ``fn(body)`` returns; a generator streams."""

    @property
    def do(self) -> Callable[[Any], Any]:
        """The function, which returns the new body."""
        return self._call


class _DecidingStep(FunctionStep):
    """A step whose function is asked about an event, and decides what goes on."""

    @property
    def do_event(self) -> Callable[[Event], Any]:
        """What calls the function on what it sees of an event, and decides what goes on."""
        return self._awaited if awaits(self.fn) else self._called

    def _called(self, event: Event) -> Any:
        result = self._call(self.seen(event))
        return self._later(event, result) if inspect.isawaitable(result) else self._decide(event, result)

    async def _awaited(self, event: Event) -> Any:
        return self._decide(event, await self._call(self.seen(event)))

    async def _later(self, event: Event, result: Any) -> Any:
        return self._decide(event, await result)

    def _decide(self, event: Event, result: Any) -> Any:
        raise TypeError(f"{type(self).__name__} must define _decide")

    def _kept(self, event: Event, result: Any) -> Event:
        return self.put(event, result) if self.result_path else event


class Filter(_DecidingStep):
    """Passes on the events for which ``fn(body)`` is true, unchanged; ``result_path`` keeps what ``fn`` returned."""

    def _decide(self, event: Event, result: Any) -> Any:
        return self._kept(event, result) if result else DROP


class ForEach(_DecidingStep):
    """Calls ``fn(body)`` and passes on the event unchanged; ``result_path`` keeps what ``fn`` returned."""

    def _decide(self, event: Event, result: Any) -> Any:
        return self._kept(event, result)


class Extend(_DecidingStep):
    """Adds the items of the dict that ``fn(body)`` returns to the body, or to the dict at ``result_path``."""

    def _decide(self, event: Event, result: Any) -> Any:
        if not isinstance(result, dict):
            raise TypeError(f"Extend needs a function that returns a dict, not {type(result).__name__}")
        path = keys_of(self.result_path)
        extended = get_path(event.body, path)
        if extended is None and path:
            extended = {}
        if not isinstance(extended, dict):
            raise TypeError(f"Extend needs dict bodies, not {type(extended).__name__}")
        return self.put(event, {**extended, **result})


class FlatMap(_DecidingStep):
    """Passes on each item that ``fn(body)`` returns as an event of its own; text is one item.

    With ``full_event`` the items are events; with ``result_path`` each is written into a copy of the body.
    """

    def _decide(self, event: Event, result: Any) -> Any:
        if hasattr(result, "__aiter__"):
            return self._collected(event, result)
        if not isinstance(result, Iterable):
            raise TypeError(f"FlatMap needs a function that returns a list, not {type(result).__name__}")
        items: list[Any] = [result] if isinstance(result, str | bytes) else list(result)
        if not self.full_event:
            return Many(self._item(event, item) for item in items)
        for item in items:
            if not isinstance(item, Event):
                told = f"FlatMap with full_event needs a function that returns events, not {type(item).__name__}"
                raise TypeError(told)
        return Many(items)

    async def _collected(self, event: Event, result: Any) -> Any:
        return self._decide(event, [item async for item in result])

    def _item(self, event: Event, item: Any) -> Event:
        path = self.result_path
        return event.branch(set_path(copy_body(event.body), keys_of(path), item) if path else item)


class Flatten(FlatMap):
    """Passes on each item of a list body as an event of its own."""

    QUICK = True

    def __init__(self, **options: Unpack[Options]) -> None:
        """Take the path of the list inside the body as ``input_path``, the body itself without one."""
        options["full_event"] = None
        super().__init__(_same, **options)


def _same(body: Any) -> Any:
    return body


def _by_body(select: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(select)
    def select_outlets(seen: Any) -> Any:
        return select(seen.body if isinstance(seen, Event) else seen)

    return select_outlets
