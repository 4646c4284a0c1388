"""Batch: many events as one, by count or by time; SampleWindow: one event of many."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Any, Unpack

from servegraph.errors import nearest
from servegraph.events import DROP, Event
from servegraph.protocols import Emit, Held
from servegraph.steps.base import Options, StepBase
from servegraph.steps.keys import KeyOf, key_reader, read_key


class Batch(StepBase):
    """Collects events until there are ``max_events`` of them, or ``flush_after_seconds`` after the first has come.

    What goes on is one event with the list of theirs (the events themselves, or with ``full_event=False`` their
    bodies). Callers get their own row of an answer that is a list as long as the batch, else all of it. Without
    ``flush_after_seconds`` callers of an incomplete batch wait until others come, at most until their deadline.
    """

    def __init__(
        self,
        max_events: int | None = None,
        flush_after_seconds: float | None = None,
        key_field: str | KeyOf | None = None,
        drop_key_field: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """Say when a batch is complete, and with ``key_field`` which events may share one.

        The key is a field of the body (``drop_key_field`` takes it away), ``"$key"``, ``"$path"`` or a function of
        the event; it becomes the key of the event that goes on.
        """
        super().__init__(**options)
        _check_limits(max_events, flush_after_seconds)
        self.max_events = max_events
        self.flush_after_seconds = flush_after_seconds
        self.key_field = key_field
        self.drop_key_field = drop_key_field
        self._read_key = key_reader(key_field, "key_field of Batch")
        if drop_key_field and (not isinstance(key_field, str) or key_field.startswith("$")):
            raise ValueError("drop_key_field needs a key_field that names a field of the body")
        self._batches: dict[Any, _Waiting] = {}
        self._emit: Emit | None = None

    def start(self, emit: Emit) -> None:
        """Take what lets batches go on."""
        self._emit = emit
        self._batches = {}

    def take(self, held: Held) -> None:
        """Put an event into its batch, which goes on if that completes it."""
        event = held.event
        key = read_key(self._read_key, event, "key_field of Batch")
        if self.drop_key_field and isinstance(event.body, dict):
            event.body = {name: value for name, value in event.body.items() if name != self.key_field}
        entry = self.value(event) if self.full_event is False else event
        waiting = self._batches.get(key)
        if waiting is None:
            waiting = self._batches[key] = _Waiting()
            if self.flush_after_seconds is not None:
                loop = asyncio.get_running_loop()
                waiting.timer = loop.call_later(self.flush_after_seconds, self._let_go, key)
        waiting.entries.append(entry)
        waiting.held.append(held)
        if len(waiting.held) == self.max_events:
            self._let_go(key)

    def flush(self) -> None:
        """Let all batches go on as they are, in the order in which they began."""
        for key in list(self._batches):
            self._let_go(key)

    def _let_go(self, key: Any) -> None:
        assert self._emit is not None, "a Batch works inside a graph"
        waiting = self._batches.pop(key)
        if waiting.timer is not None:
            waiting.timer.cancel()
        first = waiting.held[0].event
        deadline = max(each.event.deadline for each in waiting.held)
        batch = Event(
            None,
            key,
            None,
            first.path,
            first.method,
            None,
            first.content_type,
            trigger=first.trigger,
            deadline=deadline,
        )
        self._emit(self.put(batch, waiting.entries), waiting.held)


class _Waiting:
    """A batch that is not complete."""

    __slots__ = ("entries", "held", "timer")

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.held: list[Held] = []
        self.timer: asyncio.TimerHandle | None = None


def _check_limits(max_events: Any, seconds: Any) -> None:
    if max_events is None and seconds is None:
        raise ValueError("a Batch needs max_events or flush_after_seconds, or it would never go on")
    if max_events is not None and (type(max_events) is not int or max_events < 1):
        raise ValueError(f"max_events of Batch must be a whole number of at least 1, not {max_events!r}")
    if seconds is not None and (type(seconds) not in (int, float) or not seconds >= 0):
        raise ValueError(f"flush_after_seconds of Batch must be a number of seconds, not {seconds!r}")


class EmitPeriod(enum.Enum):
    """Which event of each window goes on."""

    FIRST = "FIRST"
    LAST = "LAST"


class SampleWindow(StepBase):
    """Passes on one event of every ``window_size``: the first, or the last."""

    def __init__(
        self,
        window_size: int,
        emit_period: EmitPeriod | str = EmitPeriod.FIRST,
        emit_before_termination: bool = False,
        key: str | Callable[[Event], Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the size of a window (at least 2) and which event of it goes on (``EmitPeriod`` or its name).

        With a ``key`` (a field of the body, ``"$key"`` or a function of the event) each key has windows of its own.
        ``emit_before_termination`` keeps the last event of each key that did not go on for ``at_end``.
        """
        super().__init__(**options)
        if type(window_size) is not int or window_size < 2:
            raise ValueError(f"window_size of SampleWindow must be a whole number of at least 2, not {window_size!r}")
        self.window_size = window_size
        self.emit_period = _period(emit_period)
        self.emit_before_termination = emit_before_termination
        self.key = key
        self._read_key = key_reader(key, "key of SampleWindow")
        self.post_init()

    def post_init(self, mode: str = "sync") -> None:
        """Start all windows anew."""
        self._counts: dict[Any, int] = {}
        self._left: dict[Any, Event] = {}

    def do_event(self, event: Event) -> Any:
        """Count the event, and let it go on if it is the one of its window."""
        key = read_key(self._read_key, event, "key of SampleWindow")
        count = self._counts.get(key, 0)
        self._counts[key] = (count + 1) % self.window_size
        if count == (0 if self.emit_period is EmitPeriod.FIRST else self.window_size - 1):
            self._left.pop(key, None)
            return event
        if self.emit_before_termination:
            self._left[key] = event
        return DROP

    def at_end(self) -> list[Event]:
        """Return the last event of each key that did not go on, and forget them."""
        left, self._left = list(self._left.values()), {}
        return left


def _period(period: Any) -> EmitPeriod:
    if isinstance(period, EmitPeriod):
        return period
    names = [each.name for each in EmitPeriod]
    if isinstance(period, str) and period.upper() in names:
        return EmitPeriod[period.upper()]
    raise ValueError(f"emit_period must be {' or '.join(names)}, not {period!r}{nearest(str(period), names)}")
