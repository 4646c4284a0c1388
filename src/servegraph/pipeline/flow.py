"""A flow that runs: the server of its graph, to which events are handed as they are emitted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from servegraph.engine.calls import AWAITABLE, Call
from servegraph.engine.gate import Gate, Line
from servegraph.engine.names import Names
from servegraph.engine.node import Node, Place
from servegraph.engine.plan import compile_graph
from servegraph.engine.run import FOREVER, Run, report
from servegraph.engine.stream import Chunks
from servegraph.engine.walk import begin, walk
from servegraph.events import Event
from servegraph.graph.builder import FlowGraph
from servegraph.pipeline.context import FlowContext
from servegraph.pipeline.run import EmittedRun
from servegraph.pipeline.window import Window
from servegraph.pools.threads import shared_threads
from servegraph.serve.server import Server
from servegraph.steps.check import Assert

Told = Callable[[EmittedRun], None]


class Flow(Server):
    """A graph whose events are begun at once and in order; belongs to one event loop.

    An event that fails and whose error nobody else takes care of ends the flow: see ``failure``.
    """

    def __init__(self, graph: FlowGraph, window: Window, context: Any, *, own_loop: bool) -> None:
        """Compile a graph; ``own_loop`` says that nothing else runs on its event loop. Raises GraphError."""
        plan = compile_graph(graph.spec, Names(live=graph.live), FlowContext(context, self._failed))
        super().__init__(plan)
        self._gate = window
        self.window = window
        self.answers = plan.answers == "responder"
        self.failure: BaseException | None = None
        self.terminated = False
        for node in plan.everything():
            if node.place != Place.INLINE:
                _keep_order(node)
                if own_loop and node.plain:
                    # Nobody else waits while it shows whether it is quick; a slow call sends it to the threads.
                    node.place = Place.PROVEN

    def check_open(self) -> None:
        """Raise ValueError once the flow has been terminated, and the error that ended it where one did."""
        if self.terminated:
            raise ValueError("Cannot emit to a terminated flow")
        # Where results are awaited, the caller of each event is told what became of it, and the flow goes on.
        if self.failure is not None and not self.answers:
            raise self.failure

    def run(self, event: Event, told: Told, expected: int = 1) -> EmittedRun:
        """Return what an event is followed by on its way; ``told`` is called once its results are there."""
        plan = self.plan
        return EmittedRun(event, plan.answers, plan.context, plan.joints, self.window, expected, told)

    def feed(self, run: EmittedRun) -> None:
        """Begin an event that has a place in the window; it goes as far as it can before this returns."""
        going = begin(run, self.plan.starts)
        try:
            command = going.send(None)
        except StopIteration:
            if run.held:
                run.let_go = lambda: self._let_go(run)
            else:
                self._let_go(run)
            return
        task = asyncio.create_task(self._driver.go_on(going, command))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(run, done))

    async def opened(self, chunks: Chunks, event: Event) -> Chunks:
        """Return a streamed result once its first chunk is there; raises what failed before that."""
        chunks.drive = self._driver.drive
        try:
            await chunks.start()
        except Exception as error:
            await chunks.aclose()
            if error is not chunks.reported:
                event.error = error
                report(self.context, chunks.step, event, error)
            raise
        return chunks

    async def finish(self) -> Any:
        """Let all events end, stop, and return what the flow ends with; raises the error that ended it."""
        try:
            for node in self.plan.nodes.values():  # in the order of the flow: what one lets go, the next one gets
                await self._idle()
                self._let_last_go(node)
            await self.wait_for_completion()
            for node in self.plan.nodes.values():
                if isinstance(node.owner, Assert):
                    node.owner.check()
            result = self._result()
        finally:
            await self.stop()
        if self.failure is not None:
            raise self.failure
        return result

    async def _idle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _let_last_go(self, node: Node) -> None:
        """Let the events go on that a step holds, or kept for the end (``at_end()``; their callers were answered)."""
        if node in self.plan.holders:
            node.owner.flush()
        at_end: Callable[[], list[Event]] | None = getattr(node.owner, "at_end", None)
        for event in at_end() if at_end is not None else ():
            run = Run(event, "receipt", FOREVER, self.context, self.plan.joints)
            if run.joints is not None:
                run.joints.enter(node)
            task = asyncio.create_task(self._driver.drive(walk(run, node, event, False, None, event)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _result(self) -> Any:
        ends = (node.owner for node in self.plan.nodes.values() if getattr(node.owner, "LAST", False))
        results = (end.result for end in ends)
        return next((result for result in results if result is not None), None)

    def _failed(self, error: BaseException) -> None:
        self.failure = self.failure or error


def _keep_order(node: Node) -> None:
    """Let events leave a step in the order in which they came, also where several are in it at once."""
    node.line = line = node.line or Line()
    if not node.is_async:
        # A gate keeps the step from being moved inline while calls of it are still in threads.
        node.gate = node.gate or Gate(shared_threads().size)
        node.call = _noticing(node, line, node.call)


def _noticing(node: Node, line: Line, call: Call) -> Call:
    """Return a call that takes its node for async once it returned something to await, as some lambdas do."""

    def noticed(event: Event) -> Any:
        out = call(event)
        if type(out) not in AWAITABLE or node.is_async:
            return out
        inline = node.place == Place.PROVEN
        node.is_async = True
        node.place = Place.ELSEWHERE
        node.gate = None  # what is awaited may overlap
        return _in_line(line, out) if inline else out

    return noticed


def _in_line(line: Line, awaited: Any) -> Any:
    place = line.join()

    async def wait() -> Any:
        try:
            out = await awaited
            await line.wait(place)
            return out
        finally:
            line.go(place)

    return wait()
