"""A flow on the running event loop, and what its source emits to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from servegraph.engine.stream import Chunks
from servegraph.events import Event
from servegraph.graph.builder import FlowGraph
from servegraph.pipeline.emitting import KeyField, event_of
from servegraph.pipeline.flow import Flow
from servegraph.pipeline.run import EmittedRun
from servegraph.pipeline.window import Window

_BREATH = 64  # events that may go through without any waiting before others get their turn on the loop


class AsyncFlowController:
    """Emits events to a flow that runs on the caller's event loop; made by ``AsyncEmitSource.run``."""

    def __init__(self, graph: FlowGraph, buffer_size: int, key_field: KeyField, context: Any) -> None:
        """Start a flow on the running event loop; raises GraphError for what is wrong with it."""
        loop = asyncio.get_running_loop()
        self._flow = Flow(graph, Window(buffer_size), context, own_loop=False)
        self._key_field = key_field
        self._count = 0
        self._starting: asyncio.Task[None] | None = loop.create_task(self._flow.start())
        self._ending: asyncio.Task[Any] | None = None
        self._terminated = asyncio.Event()

    async def emit(self, element: Any, key: Any = None, expected_number_of_results: int = 1) -> Any:
        """Emit a body or an event; return its result where a step completes, else None once there is a place for it.

        The result is as that of ``AwaitableResult.await_result``, a streamed one an async generator. Any number of
        callers may emit at the same time. One that is cancelled gives up its result, the event goes on. Raises
        ValueError once the flow was terminated, and the very exception that a step raised.
        """
        flow = self._flow
        flow.check_open()
        event = event_of(element, key, self._key_field)
        if self._starting is not None:
            await self._started()
        if not flow.window.try_enter():
            await flow.window.enter()
        try:
            flow.check_open()
        except BaseException:
            flow.window.leave()
            raise
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        run = flow.run(event, lambda _: None if told.done() else told.set_result(None), expected_number_of_results)
        flow.feed(run)
        if not flow.answers:
            await self._breathe()
            return None
        if run.answered:
            await self._breathe()
        else:
            await told
        result = run.outcome()
        return aiter(await flow.opened(result, event)) if type(result) is Chunks else result

    async def _breathe(self) -> None:
        self._count += 1
        if self._count % _BREATH == 0:
            await asyncio.sleep(0)

    async def _started(self) -> None:
        if self._starting is not None:
            await asyncio.shield(self._starting)
            self._starting = None

    async def terminate(self, wait: bool = False) -> Any:
        """Say that no more events come; with ``wait``, return what ``await_termination`` returns."""
        self._flow.terminated = True
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
            self._ending.add_done_callback(_seen)
            self._terminated.set()
        return await self.await_termination() if wait else None

    async def await_termination(self) -> Any:
        """Wait until all events have ended after ``terminate``; return what a step such as Reduce made of them.

        Raises the very exception of the first event that failed, unless the source's context takes care of errors.
        """
        await self._terminated.wait()
        assert self._ending is not None
        return await asyncio.shield(self._ending)

    async def _end(self) -> Any:
        await self._started()
        return await self._flow.finish()


def _seen(task: asyncio.Task[Any]) -> None:
    """Keep the loop from warning of an error that a caller may well never ask for."""
    if not task.cancelled():
        task.exception()


async def feed_all(flow: Flow, events: Iterable[Event]) -> Any:
    """Run a flow from start to end over the events of a source, and return what it ends with."""
    await flow.start()
    for count, event in enumerate(events):
        if flow.failure is not None:
            break
        if not flow.window.try_enter():
            await flow.window.enter()
        flow.feed(flow.run(event, _ignored))
        if count % _BREATH == 0:
            await asyncio.sleep(0)
    flow.terminated = True
    return await flow.finish()


def _ignored(run: EmittedRun) -> None:
    """Nobody waits for the results of a source that emits by itself."""
