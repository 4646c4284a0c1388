"""All connections of one process: their clock, and their orderly end."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Protocol


class Closable(Protocol):
    """What the hub has to know of a connection."""

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        ...

    def close(self) -> None:
        """Close it while nothing is under way."""
        ...

    def abort(self) -> None:
        """Drop it."""
        ...

    def check_time(self, now: float) -> None:
        """End it if it took too long."""
        ...


class Hub:
    """Knows every connection, so that one timer serves all of them and shutdown finds them.

    One look a tick at each connection costs less than starting and stopping a timer for each request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float) -> None:
        """Take the loop, and how often (in seconds) the connections' time is checked."""
        self.loop = loop
        self.leaving = False
        self.date = b""
        self._tick = tick
        self._connections: set[Closable] = set()
        self._empty: asyncio.Future[None] | None = None
        self._timer = loop.call_soon(self._check)

    def add(self, connection: Closable) -> None:
        """Take a new connection in."""
        self._connections.add(connection)

    def discard(self, connection: Closable) -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def __len__(self) -> int:
        return len(self._connections)

    async def leave(self, timeout: float) -> int:
        """End all connections once they have been answered; return how many had to be dropped after the timeout."""
        self.leaving = True
        for connection in list(self._connections):
            if not connection.busy:
                connection.close()
        if self._connections:
            self._empty = self.loop.create_future()
            await asyncio.wait([self._empty], timeout=timeout)
        dropped = self.drop_all()
        self._timer.cancel()
        return dropped

    def drop_all(self) -> int:
        """Drop every connection at once; return how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    def _check(self) -> None:
        now = self.loop.time()
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        for connection in list(self._connections):
            connection.check_time(now)
        self._timer = self.loop.call_later(self._tick, self._check)
