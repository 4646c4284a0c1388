"""A pool of worker threads for blocking code, awaited from event loops; it never keeps a process alive."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias

_Job: TypeAlias = tuple[
    Callable[..., Any],
    tuple[Any, ...],
    contextvars.Context,
    asyncio.Future[Any],
    asyncio.AbstractEventLoop,
    Callable[[], None] | None,
]


class ThreadPool:
    """Runs blocking calls in daemon threads, started when needed and kept, at most ``size`` of them.

    Daemon threads, because a step that blocks for good must not keep the process from exiting.
    """

    def __init__(self, size: int = 64) -> None:
        """Take how many threads there may be; none is started yet."""
        self.size = size
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0
        self._threads = 0
        self._numbers = itertools.count(1)

    def run(
        self, function: Callable[..., Any], *args: Any, after: Callable[[], None] | None = None
    ) -> asyncio.Future[Any]:
        """Start a call and return the future of its result; cancelling that future abandons the call.

        ``after`` is called on the loop when the call has really ended, also when it was abandoned.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            if self._free > 0:
                self._free -= 1
            elif self._threads < self.size:
                self._threads += 1
                name = f"servegraph-worker-{next(self._numbers)}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            else:
                self._free -= 1
        self._jobs.put((function, args, contextvars.copy_context(), future, loop, after))
        return future

    def _work(self) -> None:
        while True:
            function, args, context, future, loop, after = self._jobs.get()
            result: Any = None
            error: BaseException | None = None
            if not future.cancelled():
                try:
                    result = context.run(function, *args)
                except BaseException as raised:  # a step's sys.exit() is the step's failure, not this thread's end
                    error = raised
            with self._lock:
                self._free += 1
            try:
                loop.call_soon_threadsafe(_settle, future, result, error, after)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more
            # Nothing of this call may live on while the thread waits for the next one.
            del function, args, context, future, loop, after, result, error


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None, after: Callable[[], None] | None
) -> None:
    if after is not None:
        after()
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a future cannot carry it
        future.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        future.set_exception(error)


_shared: ThreadPool | None = None


def shared_threads() -> ThreadPool:
    """Return the pool that all servers of this process share."""
    global _shared
    if _shared is None:
        _shared = ThreadPool()
    return _shared


def _forget() -> None:
    global _shared
    _shared = None


os.register_at_fork(after_in_child=_forget)
