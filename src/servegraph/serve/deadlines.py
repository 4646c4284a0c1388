"""Ends what has run out of time: one timer for all events, because a timer each would cost more than most events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

FOREVER: Final = float("inf")
_TICK: Final = 0.002  # event loops count milliseconds


class Deadlines:
    """Calls ``expire`` of every entry whose time has come; adding and removing an entry costs a dict access."""

    def __init__(self) -> None:
        """Start with nothing to watch."""
        self._entries: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = FOREVER

    def add(self, entry: object, deadline: float, expire: Callable[[], None]) -> None:
        """Watch one entry until it is removed; ``deadline`` is in the clock of ``time.monotonic``."""
        self._entries[entry] = (deadline, expire)
        if deadline < self._next:
            self._arm(deadline)

    def remove(self, entry: object) -> None:
        """Stop watching an entry."""
        self._entries.pop(entry, None)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = deadline
        self._timer = None
        if deadline < FOREVER:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - monotonic()), self._sweep)

    def _sweep(self) -> None:
        now = monotonic() + _TICK
        late = [entry for entry, (deadline, _) in self._entries.items() if deadline <= now]
        for entry in late:
            self._entries.pop(entry)[1]()
        self._timer = None
        self._next = FOREVER
        if self._entries:
            self._arm(min(deadline for deadline, _ in self._entries.values()))

    def close(self) -> None:
        """Forget all entries."""
        self._entries.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
