"""Merge: the parts of one event, or events that share a key, become one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Unpack

from servegraph.bodies import copy_body
from servegraph.errors import BadEvent, StepError
from servegraph.events import Event
from servegraph.protocols import Emit, Held
from servegraph.steps.base import Options, StepBase
from servegraph.steps.keys import expression

MAX_BEHIND: Final = 64
"""How many incomplete keys a Merge of events keeps unless told otherwise."""


class Merge(StepBase):
    """Makes one event of the parts into which a graph split it: the list of their bodies, in the order of ``after``.

    A part that was filtered is left out; one that failed fails the event. With ``key_path``, ``expected_num_events``
    or ``max_behind``, or where ``get_join_key`` is overridden, it joins *events*: as many as expected that have the
    same key, in the order in which they come. Their callers all get the answer of the event they became.
    """

    join: Callable[[Event, Sequence[Event]], Any] | None = None
    take: Callable[[Held], None] | None = None
    flush: Callable[[], None] | None = None

    def __init__(
        self,
        key_path: str | Callable[[Any], Any] | None = None,
        max_behind: int | None = None,
        expected_num_events: int | None = None,
        inlets: Sequence[str] = (),
        **options: Unpack[Options],
    ) -> None:
        """Say how events find each other: by the parts of one event, unless one of these is given.

        Args:
            key_path: An expression of ``event`` (the body) or a function: events with an equal key belong together.
                Without it, events with the same id do.
            max_behind: How many keys may be incomplete (64 unless given): one more, and the oldest fails.
            expected_num_events: How many events share a key; the number of steps before this one unless given.
            inlets: The names of the steps before this one; the graph tells.
            **options: What every step takes; with ``full_event`` the list is of events, and ``key_path`` sees events.
        """
        super().__init__(**options)
        self.key_path = key_path
        self.max_behind = max_behind
        self.expected_num_events = expected_num_events
        self.inlets = inlets
        given = (key_path, max_behind, expected_num_events)
        if all(each is None for each in given) and type(self).get_join_key is Merge.get_join_key:
            self.join = self._join_parts
            return
        self._limit = _positive(MAX_BEHIND if max_behind is None else max_behind, "max_behind")
        self._read = expression(key_path, "key_path") if isinstance(key_path, str) else key_path
        if expected_num_events is not None:
            _positive(expected_num_events, "expected_num_events")
        self._expected = 0
        self._waiting: dict[Hashable, list[Held]] = {}
        self._emit: Emit | None = None
        self.take, self.flush = self._take, self._flush

    def get_join_key(self, event: Event) -> Any:
        """Return what events that belong together have in common; may be overridden."""
        if self._read is None:
            return event.id
        try:
            return self._read(event if self.full_event else event.body)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise BadEvent(f"the key_path of Merge does not fit this event: {told}") from error

    def merge_function(self, event: Event, events: Sequence[Event]) -> Any:
        """Return the event that goes on, given the last and all of them; may be overridden, and async for parts."""
        return self.put(event, [self.seen(each) for each in events])

    def post_init(self, mode: str = "sync") -> None:
        """Find out how many events share a key; raises ValueError where nothing says so."""
        if self.take is not None:
            self._expected = self.expected_num_events or len(self.inlets)
            if not self._expected:
                raise ValueError("Merge does not know how many events share a key: give it expected_num_events")

    def _join_parts(self, event: Event, parts: Sequence[Event]) -> Any:
        body = copy_body(event.body) if self.result_path else event.body
        merged = self.merge_function(event.branch(body), parts)
        return merged if inspect.isawaitable(merged) else _event(merged)

    def start(self, emit: Emit) -> None:
        """Take what lets merged events go on."""
        self._emit = emit
        self._waiting = {}

    def _take(self, held: Held) -> None:
        key = self.get_join_key(held.event)
        try:
            parts = self._waiting.setdefault(key, [])
        except TypeError:
            raise BadEvent(f"the key of Merge is {type(key).__name__}, which cannot be a key") from None
        parts.append(held)
        if len(parts) >= self._expected:
            del self._waiting[key]
            self._let_go(parts)
        elif len(self._waiting) > self._limit:
            oldest = next(iter(self._waiting))
            self._give_up(oldest, f"more than max_behind={self._limit} keys were incomplete")

    def _flush(self) -> None:
        for key in list(self._waiting):
            self._give_up(key, "no more events came")

    def _let_go(self, parts: list[Held]) -> None:
        assert self._emit is not None, "a Merge works inside a graph"
        events = [part.event for part in parts]
        last = events[-1]
        # An event of its own, so that the answer goes to all callers and not only to the last.
        new = last.branch(copy_body(last.body) if self.result_path else last.body)
        try:
            merged = _event(self.merge_function(new, events))
        except Exception as error:
            self._emit(new, parts, whole=True, error=error)
        else:
            self._emit(merged, parts, whole=True)

    def _give_up(self, key: Hashable, why: str) -> None:
        assert self._emit is not None, "a Merge works inside a graph"
        parts = self._waiting.pop(key)
        event = parts[0].event
        had = f"{len(parts)} of {self._expected} events"
        error = StepError(f"Merge had {had} with the key {key!r} when {why}")
        self._emit(event.branch(event.body), parts, whole=True, error=error)


def _event(merged: Any) -> Event:
    if not isinstance(merged, Event):
        raise TypeError(f"merge_function must return an event, not {type(merged).__name__}")
    return merged


def _positive(number: Any, what: str) -> int:
    if type(number) is not int or number < 1:
        raise ValueError(f"{what} of Merge must be a whole number of at least 1, not {number!r}")
    return number
