"""A pool of worker processes for one step: they start once, hold its function, and get nothing but bodies."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from time import monotonic
from typing import Any, Final

from servegraph.errors import GraphError, NotReady, StepError
from servegraph.events import Event
from servegraph.pools.messages import Buffer, Kind, Message
from servegraph.pools.pickles import pack, unpack
from servegraph.pools.process import LEAVE_GRACE, WorkerDied, WorkerProcess, failure
from servegraph.pools.threads import shared_threads

__all__ = ["ProcessStep", "WorkerDied", "cores"]

logger = logging.getLogger("servegraph")

ABANDON_GRACE: Final = 2.0
"""Seconds that a call goes on of which nobody wants the result any more; then its worker is killed and replaced."""


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessStep:
    """Calls a function in worker processes, awaited on one event loop.

    The function (sync, async, or one that yields) is carried to each worker once, with the instance it belongs to:
    what it keeps, it keeps in each worker by itself. A worker that dies is replaced; the call in it fails with
    WorkerDied. Leaving the pool open keeps no process alive: workers leave with the process that started them.
    """

    def __init__(self, function: Callable[[Any], Any], workers: int, name: str = "") -> None:
        """Take the function, how many workers there may be, and the step they work for; none is started yet."""
        self._function = function
        self._limit = workers
        self._name = name
        self._cargo: list[Buffer] = []
        self._all: set[WorkerProcess] = set()
        self._size = 0  # workers that live or are being started
        self._idle: list[WorkerProcess] = []
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._dismissed = threading.Event()
        weakref.finalize(self, _forget, self._all)

    def start(self) -> None:
        """Start a worker for each core (others follow when they are needed) and wait until they are ready.

        Raises GraphError where the function cannot be carried to another process.
        """
        self._size = min(self._limit, cores())
        try:
            self._cargo = pack(self._function)
            started = [self._process() for _ in range(self._size)]
            for worker in started:
                worker.load(self._cargo)
            for worker in started:
                worker.wait()
        except Exception as error:
            self.close()
            told = f"it cannot run in a process: {type(error).__name__}: {error}"
            raise GraphError(told, self._name, "process") from error
        self._idle = started

    async def __call__(self, body: Any) -> Any:
        """Return what the function returns for a body; for one that yields, an async generator of its chunks.

        Raises what the function raises, of its own type where that can travel. A call that is cancelled goes on for
        ABANDON_GRACE seconds at most.
        """
        try:
            parts = pack(body)
        except Exception as error:
            raise StepError(f"the body cannot be sent to a process: {type(error).__name__}: {error}") from error
        worker = await self._turn()
        answer = worker.ask(Kind.CALL, parts)
        message = await _answered(worker, answer)
        if message.kind == Kind.STREAM:
            return self._chunks(worker, answer)
        result = unpack(message.parts)
        return _moved(result, body) if type(body) is Event and type(result) is Event else result

    def close(self) -> None:
        """Let the workers go: those that are not done within a moment are killed. Blocks until they have ended."""
        loop = self._loop
        if loop is None or not loop.is_running() or loop is _current_loop():
            self._dismiss()
        else:
            loop.call_soon_threadsafe(self._dismiss)
            self._dismissed.wait(LEAVE_GRACE)
        until = monotonic() + LEAVE_GRACE
        while self._all:
            self._all.pop().end(max(0.0, until - monotonic()))

    async def _chunks(self, worker: WorkerProcess, answer: asyncio.Future[Message]) -> AsyncIterator[Any]:
        try:
            while True:
                answer = worker.ask(Kind.NEXT)
                message = await _answered(worker, answer)
                if message.kind == Kind.END:
                    return
                yield unpack(message.parts)
        finally:
            worker.abandon(answer, ABANDON_GRACE)

    async def _turn(self) -> WorkerProcess:
        """Return a worker that is free, in the order in which calls came."""
        if self._closed:
            raise NotReady("the server has stopped")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            for worker in self._idle:
                worker.attach(self._loop)
        if self._idle:
            return self._idle.pop()
        if self._size < self._limit:
            self._grow()
        turn: asyncio.Future[WorkerProcess] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free(turn.result())  # it was given to one that no longer wants it
            raise

    def _free(self, worker: WorkerProcess) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._idle.append(worker)

    def _died(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        self._size -= 1
        if worker in self._idle:
            self._idle.remove(worker)
        elif not self._closed:
            self._grow()

    def _grow(self) -> None:
        self._size += 1
        shared_threads().run(self._one_more).add_done_callback(self._grown)

    def _one_more(self) -> WorkerProcess:
        if not self._cargo:
            self._cargo = pack(self._function)
        worker = self._process()
        try:
            worker.load(self._cargo)
            worker.wait()
        except BaseException:
            self._all.discard(worker)
            worker.leave()
            worker.end()
            raise
        return worker

    def _grown(self, started: asyncio.Future[WorkerProcess]) -> None:
        error = started.exception()
        if error is not None:
            self._size -= 1
            if self._closed:
                return
            logger.error("step '%s': a worker process could not be started: %s", self._name, error)
            if self._size == 0:
                self._refuse(StepError(f"its worker processes cannot be started: {type(error).__name__}: {error}"))
            return
        worker = started.result()
        if self._closed:
            worker.leave()
            return
        assert self._loop is not None
        worker.attach(self._loop)
        self._free(worker)

    def _process(self) -> WorkerProcess:
        worker = WorkerProcess()
        self._all.add(worker)
        # A pool that nobody holds any more is collected, whatever its workers still do.
        pool = weakref.ref(self)
        worker.on_free = lambda freed: _of(pool, ProcessStep._free, freed)
        worker.on_death = lambda lost: _of(pool, ProcessStep._died, lost)
        return worker

    def _dismiss(self) -> None:
        self._closed = True
        self._idle.clear()
        self._refuse(NotReady("the server has stopped"))
        for worker in list(self._all):
            worker.detach()
            worker.leave()
        self._dismissed.set()

    def _refuse(self, error: Exception) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)


async def _answered(worker: WorkerProcess, answer: asyncio.Future[Message]) -> Message:
    try:
        message = await answer
    except asyncio.CancelledError:
        worker.abandon(answer, ABANDON_GRACE)
        raise
    if message.kind == Kind.ERROR:
        raise failure(message)
    return message


def _moved(came: Event, event: Event) -> Event:
    """Return the event that was sent, as its twin came back: others may know it by what it is, not by its id."""
    for slot in Event.__slots__:
        if slot != "__dict__":
            setattr(event, slot, getattr(came, slot))
    event.__dict__.clear()
    event.__dict__.update(came.__dict__)
    return event


def _forget(workers: Collection[WorkerProcess]) -> None:
    for worker in list(workers):
        worker.forget()


def _of(
    pool: weakref.ref[ProcessStep], method: Callable[[ProcessStep, WorkerProcess], None], worker: WorkerProcess
) -> None:
    here = pool()
    if here is not None:
        method(here, worker)


def _current_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
