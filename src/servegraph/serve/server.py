"""One graph, ready for events: admits them, keeps their deadlines, answers each, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any

from servegraph.context import Context
from servegraph.engine import drive
from servegraph.engine.commands import Raise
from servegraph.engine.gate import Gate
from servegraph.engine.names import Names
from servegraph.engine.node import Node, Place
from servegraph.engine.plan import Plan
from servegraph.engine.routes import LiveRoutes
from servegraph.engine.run import FOREVER, Failure, Held, JointRun, Run, report
from servegraph.engine.stream import Chunks
from servegraph.engine.walk import begin, walk
from servegraph.errors import DeadlineExceeded, EventError, GraphError, NotReady, Overloaded, nearest
from servegraph.events import Event, Response
from servegraph.pools.loop import LoopThread
from servegraph.pools.threads import shared_threads
from servegraph.serve.answers import answer_of, error_response
from servegraph.serve.deadlines import Deadlines
from servegraph.serve.settings import Settings
from servegraph.wire.bodies import read_body


class Server:
    """A graph with limits, behind any number of doors.

    ``handle`` is awaited on one event loop and runs many events at once; ``call`` does the work on the calling
    thread, for plans that allow it (``calls``). Neither raises for a bad event: every failure is a Response.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings | None = None,
        *,
        names: Names | None = None,
        calling: bool = False,
        load_mode: str = "sync",
        default_content_type: str = "",
        default_class: str = "",
    ) -> None:
        """Serve a plan; with ``calling``, by ``call`` on the callers' threads where the plan allows it."""
        self.plan = plan
        self.settings = settings or Settings()
        self.ready = False
        self.calls = calling and plan.plain
        self._names = names or Names()
        self._load_mode = load_mode
        self._default_content_type = default_content_type
        self._default_class = default_class
        self._gate = Gate(self.settings.max_in_flight)
        self._deadlines = Deadlines()
        self._driver = drive.Driver(shared_threads(), plan.ordered)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()
        self._loop_thread = LoopThread()
        self._controls: dict[str, LiveRoutes] = {}
        self._closed = False
        if self.calls:
            for node in plan.everything():
                self._settle_calling(node)
        plan.context.server = self

    @property
    def context(self) -> Context:
        """What the steps see of this server."""
        return self.plan.context

    @property
    def in_flight(self) -> int:
        """How many events are being worked on."""
        return self._gate.busy

    async def start(self) -> None:
        """Load what the steps need; raises GraphError with everything that failed."""
        for node in self.plan.holders:
            node.owner.start(functools.partial(self._emit, node))
        await self._driver.threads.run(self.plan.start, self._load_mode)
        self.ready = True

    def start_calling(self) -> None:
        """Load what the steps need, on the calling thread."""
        self.plan.start(self._load_mode)
        self.ready = True

    async def handle(self, event: Event) -> Response:
        """Return the answer to one event. Cancelling this abandons the event: no further step of it starts."""
        if self._closed:
            return error_response(event, NotReady("the server has stopped"))
        if not self._gate.try_enter():
            refused = await self._wait_for_turn(event)
            if refused is not None:
                return refused
        try:
            run = self._run(event)
        except EventError as error:
            self._gate.leave()
            report(self.context, "", event, error)
            return error_response(event, error)
        going = begin(run, self.plan.starts)
        try:
            command = going.send(None)
        except StopIteration:
            return await self._finished(run)
        if self.plan.detached:
            return await self._answer_and_go_on(run, going, command)
        return await self._answer_at_the_end(run, going, command)

    def call(self, event: Event) -> Response:
        """Return the answer to one event; all its work is done, on this thread, when the call returns."""
        with self._lock:
            admitted = not self._closed and self._gate.try_enter()
        if not admitted:
            return error_response(event, NotReady("the server has stopped") if self._closed else self._full())
        try:
            run = self._run(event)
            drive.call(begin(run, self.plan.starts), self._loop_thread.run)
            return self._opened(run) if _is_stream(run) else answer_of(run)
        except EventError as error:
            report(self.context, "", event, error)
            return error_response(event, error)
        finally:
            with self._lock:
                self._gate.leave()

    async def drive(self, walk: Generator[Any, Any, Any]) -> Any:
        """Drive a walk of this server's graph, such as the one that makes the next chunk of a stream."""
        return await self._driver.drive(walk)

    async def wait_for_completion(self) -> None:
        """Wait until no event is being worked on any more."""
        while True:
            while self._tasks:
                await asyncio.wait(self._tasks)
            for node in self.plan.holders:
                node.owner.flush()
                if self._tasks:
                    break
            else:
                return

    async def drain(self) -> None:
        """Say that no more events should come, and wait (``drain_timeout`` at most) for those that are here."""
        self.ready = False
        until = monotonic() + self.settings.drain_timeout
        while self._gate.busy and monotonic() < until:
            await asyncio.sleep(0.005)
        if self._gate.busy:
            self.context.logger.warning(
                f"{self._gate.busy} events were still running after {self.settings.drain_timeout:g} s and are abandoned"
            )

    async def stop(self) -> None:
        """Abandon what still runs and close the steps."""
        self.ready = False
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        self._deadlines.close()
        await self._driver.threads.run(self.plan.close)

    def stop_calling(self) -> None:
        """Close the steps, on the calling thread."""
        self.ready = False
        self._closed = True
        self.plan.close()
        self._loop_thread.close()

    def control(self, router: str = "") -> LiveRoutes:
        """Return what changes the routes of a router while it serves; the graph's only router needs no name."""
        routers = [name for name, node in self.plan.nodes.items() if node.router is not None]
        if not router:
            if len(routers) != 1:
                raise GraphError(f"the graph has {len(routers)} routers: name one of {', '.join(routers) or 'none'}")
            router = routers[0]
        if router not in routers:
            raise GraphError(
                f"there is no router '{router}', there are: {', '.join(routers)}{nearest(router, routers)}"
            )
        if router not in self._controls:
            settle: Callable[[Node], None] = self._settle_calling if self.calls else _settle_awaiting
            self._controls[router] = LiveRoutes(self.plan, router, self._names, settle, self._default_class)
        return self._controls[router]

    def _run(self, event: Event) -> Run:
        body = event.body
        if type(body) is bytes or type(body) is str:
            event.content_type = event.content_type or self._default_content_type
            event.body = read_body(body, event.content_type)
        if not event.deadline:
            event.deadline = monotonic() + self.settings.request_timeout
        answers = self.plan.answers
        deadline = FOREVER if answers == "receipt" else event.deadline
        return Run(event, answers, deadline, self.plan.context, self.plan.joints)

    async def _wait_for_turn(self, event: Event) -> Response | None:
        if self._gate.waiting >= self.settings.max_waiting:
            return error_response(event, self._full())
        event.deadline = event.deadline or monotonic() + self.settings.request_timeout
        try:
            async with asyncio.timeout(event.deadline - monotonic()):
                await self._gate.enter()
        except TimeoutError:
            return error_response(event, DeadlineExceeded("the time was used up waiting for a turn"))
        return None

    def _full(self) -> Overloaded:
        settings = self.settings
        limits = f"max_in_flight is {settings.max_in_flight}, max_waiting {settings.max_waiting}"
        return Overloaded(f"the server is full ({limits})")

    async def _finished(self, run: Run) -> Response:
        """Answer an event whose walk ended without ever waiting."""
        if run.held:
            run.let_go = lambda: self._let_go(run)
            return await self._wait(run, None)
        if _is_stream(run):
            return await self._stream(run)
        self._gate.leave()
        return answer_of(run)

    async def _answer_at_the_end(self, run: Run, going: Generator[Any, Any, Any], command: Any) -> Response:
        """Finish a walk in the caller's task: nothing goes on behind the answer."""
        task = asyncio.current_task()
        assert task is not None
        self._deadlines.add(run, run.deadline, lambda: self._expire(run, task))
        streaming = False
        try:
            await self._driver.go_on(going, command)
            streaming = _is_stream(run)
            return await self._stream(run) if streaming else answer_of(run)
        except asyncio.CancelledError:
            if run.failure is None or not isinstance(run.failure.error, DeadlineExceeded):
                raise
            task.uncancel()
            return answer_of(run)
        finally:
            self._deadlines.remove(run)
            if not streaming:
                self._gate.leave()

    async def _answer_and_go_on(self, run: Run, going: Generator[Any, Any, Any], command: Any) -> Response:
        """Finish a walk in a task of its own, and answer as soon as there is an answer."""
        task = asyncio.create_task(self._driver.go_on(going, command))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(run, done))
        return await self._wait(run, task)

    async def _wait(self, run: Run, task: asyncio.Task[Any] | None) -> Response:
        """Wait for the answer of an event that is worked on elsewhere."""
        if run.answers != "receipt" and not run.answered:
            run.waiter = asyncio.get_running_loop().create_future()
            self._deadlines.add(run, run.deadline, lambda: self._expire(run, task))
            try:
                await run.waiter
            except asyncio.CancelledError:
                if not run.answered and task is not None:
                    task.cancel()
                raise
            finally:
                self._deadlines.remove(run)
        if _is_stream(run):
            self._gate.busy += 1  # the stream is in flight longer than the walk that opened it
            return await self._stream(run)
        return answer_of(run)

    async def _stream(self, run: Run) -> Response:
        """Answer with a stream once its first chunk is there; a failure before that is an ordinary answer."""
        assert run.answer is not None
        chunks: Chunks = run.answer.body
        chunks.drive = self._driver.drive
        chunks.on_close = self._gate.leave
        try:
            await chunks.start()
        except Exception as error:
            await chunks.aclose()
            return self._broken(run, chunks, error)
        except BaseException:
            await chunks.aclose()
            raise
        return answer_of(run)

    def _opened(self, run: Run) -> Response:
        assert run.answer is not None
        chunks: Chunks = run.answer.body
        chunks.call = lambda walk: drive.call(walk, self._loop_thread.run)
        try:
            chunks.start_calling()
        except Exception as error:
            chunks.close()
            return self._broken(run, chunks, error)
        return answer_of(run)

    def _broken(self, run: Run, chunks: Chunks, error: Exception) -> Response:
        if error is not chunks.reported:
            report(self.context, chunks.step, run.event, error)
        return error_response(run.event, error, chunks.step)

    def _ended(self, run: Run, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            run.failed(self.plan.starts[0], run.event, error, hope=not run.answered)
        if run.held:
            run.let_go = lambda: self._let_go(run)
        else:
            self._let_go(run)

    def _let_go(self, run: Run) -> None:
        self._gate.leave()
        if not run.answered:
            run.settle()

    def _emit(
        self,
        node: Node,
        event: Event,
        members: Sequence[Held],
        *,
        whole: bool = False,
        error: Exception | None = None,
    ) -> None:
        """Let an event go on from a step that held those it is made of (see ``protocols.Emit``)."""
        run = JointRun(event, list(members), self.plan.joints, whole)
        if run.joints is not None:
            run.joints.enter(node)
        out = event if error is None else Raise(error)
        going = walk(run, node, event, run.answers != "receipt", None, out)
        try:
            command = going.send(None)
        except StopIteration:
            self._emitted(run, members)
            return
        task = asyncio.create_task(self._driver.go_on(going, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._emitted(run, members))

    def _emitted(self, run: Run, members: Sequence[Held]) -> None:
        def release() -> None:
            if not run.answered:
                run.settle()
            for member in members:
                member.run.release()

        if run.held:
            run.let_go = release
        else:
            release()

    def _expire(self, run: Run, task: asyncio.Task[Any] | None) -> None:
        if run.answered:
            return
        where = run.at.path if run.at is not None else ""
        seconds = self.settings.request_timeout
        error = DeadlineExceeded(f"no answer in time (request_timeout is {seconds:g} s)")
        run.answer, run.failure = None, Failure(where, run.event, error)
        report(self.context, where, run.event, error)
        run.settle()
        if task is not None:
            task.cancel()

    def _settle_calling(self, node: Node) -> None:
        node.place = Place.INLINE
        if node.gate is not None:
            node.call = _locked(node.call, node.gate.lock)


def _is_stream(run: Run) -> bool:
    return run.answer is not None and type(run.answer.body) is Chunks


def _settle_awaiting(node: Node) -> None:
    """Leave a new node where its own options put it."""


def _locked(call: Callable[[Event], Any], lock: AbstractContextManager[Any]) -> Callable[[Event], Any]:
    def locked(event: Event) -> Any:
        with lock:
            return call(event)

    return locked
