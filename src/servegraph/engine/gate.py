"""How many calls of one step may run at once; those that wait go in the order in which they came."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any


class Gate:
    """Lets at most ``limit`` calls in at once; belongs to one event loop, and costs a counter when nobody waits."""

    def __init__(self, limit: int) -> None:
        """Take how many may be inside."""
        self.limit = limit
        self.busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @cached_property
    def lock(self) -> AbstractContextManager[Any]:
        """What does the same for threads, where calls run on their callers' threads."""
        return threading.Lock() if self.limit == 1 else threading.Semaphore(self.limit)

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Take a place if there is one and nobody waits for it."""
        if self.busy < self.limit and not self._waiting:
            self.busy += 1
            return True
        return False

    async def enter(self) -> None:
        """Wait for a place; every ``enter`` that returns needs its ``leave``."""
        if self.try_enter():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place was already given to the one that no longer wants it
            raise

    def leave(self) -> None:
        """Give the place back, to the one that has waited longest if there is one."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place passes on: busy stays
                return
        self.busy -= 1


class Line:
    """Lets events leave a step in the order in which they came, whenever each is done."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        """Start with nobody in line."""
        self._last: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether all who came have gone."""
        return self._last is None or self._last.done()

    def join(self) -> tuple[asyncio.Future[None] | None, asyncio.Future[None]]:
        """Take a place at the end; the result goes to ``wait`` and then to ``go``."""
        before, mine = self._last, asyncio.get_running_loop().create_future()
        self._last = mine
        return before, mine

    @staticmethod
    async def wait(place: tuple[asyncio.Future[None] | None, asyncio.Future[None]]) -> None:
        """Wait until all who came before have gone."""
        before = place[0]
        if before is not None and not before.done():
            await asyncio.wait([before])

    @staticmethod
    def go(place: tuple[asyncio.Future[None] | None, asyncio.Future[None]]) -> None:
        """Leave the line; who came next goes when those before this one have gone, too."""
        before, mine = place
        if before is None or before.done():
            if not mine.done():
                mine.set_result(None)
        else:
            before.add_done_callback(lambda _: None if mine.done() else mine.set_result(None))
