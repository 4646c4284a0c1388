"""A flow on an event loop in a daemon thread, fed from the threads of a program."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final

from servegraph.engine.stream import Chunks
from servegraph.events import Event
from servegraph.graph.builder import FlowGraph
from servegraph.pipeline.awaited import feed_all
from servegraph.pipeline.emitting import KeyField, event_of
from servegraph.pipeline.flow import Flow
from servegraph.pipeline.results import AwaitableResult
from servegraph.pipeline.run import EmittedRun
from servegraph.pipeline.window import ThreadWindow, Window
from servegraph.pools.loop import LoopThread

_BREATH: Final = 64  # events that are begun before others get their turn on the loop
_PAUSE: Final = 0.0005  # seconds that an event is left lying at most, where nobody waits for it


class FlowAwaiter:
    """A flow that runs by itself until its source has no more events; made by ``DataframeSource.run``."""

    def __init__(self, flow: Flow, events: Iterable[Event]) -> None:
        """Start it."""
        self._loop_thread = LoopThread("servegraph-flow")
        self._ended = self._loop_thread.submit(feed_all(flow, events))

    def await_termination(self, timeout: float | None = None) -> Any:
        """Wait until the flow has ended; return what a step such as Reduce made of its events.

        Raises the very exception of the first event that failed, unless the source's context takes care of errors;
        TimeoutError after ``timeout`` seconds, while the flow goes on.
        """
        return _ended(self._ended, self._loop_thread, timeout)


class FlowController:
    """Emits events from any thread to a flow that runs in a thread of its own; made by ``SyncEmitSource.run``.

    The thread is a daemon: a flow that is never terminated keeps no process from ending.
    """

    def __init__(self, graph: FlowGraph, buffer_size: int, key_field: KeyField, context: Any) -> None:
        """Start a flow; raises GraphError for what is wrong with it."""
        self._window = ThreadWindow(buffer_size)
        self._flow = Flow(graph, self._window, context, own_loop=True)
        self._key_field = key_field
        self._loop_thread = LoopThread("servegraph-flow")
        self._emitted: deque[EmittedRun] = deque()
        self._awake = False
        self._lock = threading.Lock()
        self._ended: concurrent.futures.Future[Any] | None = None
        self._terminated = threading.Event()
        self._loop = self._loop_thread.run(self._start())

    async def _start(self) -> asyncio.AbstractEventLoop:
        await self._flow.start()
        self._thread = threading.get_ident()
        return asyncio.get_running_loop()

    def emit(self, element: Any, key: Any = None, expected_number_of_results: int = 1) -> AwaitableResult | None:
        """Emit a body or an event; return its result to come where a step completes, else None.

        Blocks while as many events as the source's ``buffer_size`` are on their way. Raises ValueError once the flow
        was terminated, and the very exception that ended it.
        """
        self._flow.check_open()
        event = event_of(element, key, self._key_field)
        result = AwaitableResult(self._hurry) if self._flow.answers else None
        told = _ignored if result is None else self._telling(result)
        if not self._window.try_take():
            if threading.get_ident() == self._thread:
                raise RuntimeError(
                    "a step cannot wait for a place in its own flow: give the source a larger buffer_size"
                )
            self._hurry()
            self._window.take()
        run = self._flow.run(event, told, expected_number_of_results)
        with self._lock:
            if self._flow.terminated:
                self._window.give_back()
                self._flow.check_open()
            self._emitted.append(run)
            if not self._awake:
                self._awake = True
                self._loop.call_soon_threadsafe(self._look_after)
        return result

    def terminate(self, wait: bool = False) -> Any:
        """Say that no more events come; with ``wait``, return what ``await_termination`` returns."""
        with self._lock:
            if self._ended is None:
                self._flow.terminated = True
                self._ended = self._loop_thread.submit(self._finish())
                self._terminated.set()
        return self.await_termination() if wait else None

    def await_termination(self, timeout: float | None = None) -> Any:
        """Wait until all events have ended after ``terminate``; return what a step such as Reduce made of them.

        Raises the very exception of the first event that failed, unless the source's context takes care of errors;
        TimeoutError after ``timeout`` seconds. May be called again, with the same end.
        """
        if not self._terminated.wait(timeout):
            raise TimeoutError(f"the flow was not terminated within {timeout:g} s")
        assert self._ended is not None
        return _ended(self._ended, self._loop_thread, timeout)

    def _hurry(self) -> None:
        """Begin at once what was emitted: somebody waits."""
        self._loop.call_soon_threadsafe(self._begin_emitted)

    def _begin_emitted(self) -> int:
        """Begin what was emitted and return how much that was."""
        count = min(len(self._emitted), _BREATH)
        for _ in range(count):
            self._flow.feed(self._emitted.popleft())
        if self._emitted:
            self._loop.call_soon(self._begin_emitted)
        return count

    def _look_after(self) -> None:
        """Begin what was emitted, and look again a little later until nothing is.

        Waking a sleeping loop for every event would cost several times what most events do.
        """
        if not self._begin_emitted():
            with self._lock:
                self._awake = bool(self._emitted)
        if self._awake:
            self._loop.call_later(_PAUSE, self._look_after)

    async def _finish(self) -> Any:
        while self._emitted:
            self._begin_emitted()
            await asyncio.sleep(0)
        return await self._flow.finish()

    def _telling(self, result: AwaitableResult) -> Callable[[EmittedRun], None]:
        def tell(run: EmittedRun) -> None:
            try:
                value = run.outcome()
            except BaseException as error:
                result.set_error(error)
                return
            if type(value) is Chunks:
                task = self._loop.create_task(self._flow.opened(value, run.event))
                task.add_done_callback(lambda done: self._streaming(done, result))
            else:
                result.set_result(value)

        return tell

    def _streaming(self, opening: asyncio.Task[Chunks], result: AwaitableResult) -> None:
        error = opening.exception()
        if error is not None:
            result.set_error(error)
        else:
            result.set_result(self._chunks(opening.result()))

    def _chunks(self, chunks: Chunks) -> Generator[Any, None, None]:
        chunks.call = lambda walk: self._loop_thread.run(self._flow.drive(walk))
        yield from chunks


def _ended(ended: concurrent.futures.Future[Any], loop_thread: LoopThread, timeout: float | None) -> Any:
    try:
        return ended.result(timeout)
    finally:
        if ended.done():
            loop_thread.close()


def _ignored(run: EmittedRun) -> None:
    """Nobody waits for the results of a flow in which no step completes."""


def started(graph: FlowGraph, events: Iterable[Event], context: Any, buffer_size: int) -> FlowAwaiter:
    """Start a flow over the events of a source; raises GraphError for what is wrong with it."""
    return FlowAwaiter(Flow(graph, Window(buffer_size), context, own_loop=True), events)
