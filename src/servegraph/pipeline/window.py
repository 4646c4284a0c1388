"""How many events of a flow may be on their way at once: whoever emits one more waits for a place."""

from __future__ import annotations

import threading

from servegraph.engine.gate import Gate


class Window(Gate):
    """Places for events on their way; an event that a step holds until others come gives its place back meanwhile.

    (A batch of a hundred would never be full where eight may be on their way.)
    """

    def __init__(self, limit: int) -> None:
        """Take how many places there are."""
        super().__init__(limit)
        self._given_back = 0

    def park(self) -> None:
        """Give the place of an event back that waits for others."""
        self.leave()

    def resume(self) -> None:
        """Let an event go on that waited; it has no place any more, so that the next one to end gives none back."""
        self._given_back += 1

    def leave(self) -> None:
        """Give the place of an event back that has ended."""
        if self._given_back:
            self._given_back -= 1
        else:
            self._free()

    def _free(self) -> None:
        super().leave()


class ThreadWindow(Window):
    """The same for events that are emitted by other threads than the one they run on."""

    def __init__(self, limit: int) -> None:
        """Take how many places there are."""
        super().__init__(limit)
        self._places = threading.Semaphore(limit)

    def try_take(self) -> bool:
        """Take a place if there is one."""
        return self._places.acquire(blocking=False)

    def take(self) -> None:
        """Wait for a place, blocking the thread."""
        self._places.acquire()

    def give_back(self) -> None:
        """Give back a place that was not used."""
        self._places.release()

    def _free(self) -> None:
        self._places.release()
