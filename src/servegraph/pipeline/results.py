"""The result of an emitted event, for a thread that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from servegraph.errors import DeadlineExceeded


class AwaitableResult:
    """Becomes the result of an event, or the exception that it failed with."""

    __slots__ = ("_error", "_hurry", "_open", "_value")

    def __init__(self, hurry: Callable[[], None]) -> None:
        """Start without a result; ``hurry`` is called when somebody begins to wait for it."""
        self._hurry = hurry
        self._open = threading.Lock()
        self._open.acquire()
        self._value: Any = None
        self._error: BaseException | None = None

    def await_result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it; raises the very exception that a step raised.

        It is None for an event that no step completed, such as a filtered one; a list in the order of arrival where
        several results are expected; a generator of the chunks where a step streams. Raises DeadlineExceeded (a
        TimeoutError) after ``timeout`` seconds; the event goes on, and its result can still be awaited.
        """
        if not self._open.acquire(blocking=False):
            self._hurry()
            if not self._open.acquire(timeout=-1 if timeout is None else timeout):
                raise DeadlineExceeded(f"there is no result after {timeout:g} s; the event is still on its way")
        self._open.release()
        if self._error is not None:
            raise self._error
        return self._value

    def set_result(self, value: Any) -> None:
        """Give the result, once."""
        self._value = value
        self._open.release()

    def set_error(self, error: BaseException) -> None:
        """Give the exception, once."""
        self._error = error
        self._open.release()
