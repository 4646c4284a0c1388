"""An answer that comes in chunks: the graph runs for each as its caller asks for it, so that a slow reader slows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any

from servegraph.engine.calls import Stream
from servegraph.engine.commands import END, Next
from servegraph.engine.node import Node
from servegraph.engine.run import FOREVER, Run
from servegraph.events import Event, Response

Walk = Generator[Any, Any, Any]


class _ChunkRun(Run):
    """One chunk's way through the steps after the one that streams; every answer it gets is passed on."""

    __slots__ = ("answers_so_far",)

    may_stream = False

    def __init__(self, event: Event, run: Run) -> None:
        super().__init__(event, "responder", FOREVER, run.context, run.joints is not None)
        self.answers_so_far: list[Event] = []

    def reply(self, event: Event) -> None:
        """Keep one more answer."""
        self.answers_so_far.append(event)


class Chunks:
    """The chunks of a streamed answer, by ``for`` or ``async for``; ``close`` ends the step that makes them.

    An exception of a step is raised where the next chunk is asked for. ``on_close`` is called once, at the end.
    """

    def __init__(self, run: Run, node: Node, event: Event, stream: Stream, walk: Callable[..., Walk]) -> None:
        """Take what was returned by the node that streams, and what walks on from a node."""
        self._walk = walk
        self._run = run
        self._node = node
        self._event = event
        self._stream = stream
        self._ready: list[Any] = []
        self._closed = False
        self.step = node.path
        self.reported: BaseException | None = None
        self.drive: Callable[[Walk], Coroutine[Any, Any, Any]] | None = None
        self.call: Callable[[Walk], Any] | None = None
        self.on_close: Callable[[], None] | None = None

    @property
    def first(self) -> Any:
        """The first chunk, which is there once the stream has been started; None where there is none."""
        return self._ready[0] if self._ready and self._ready[0] is not END else None

    async def start(self) -> None:
        """Make the first chunk, so that a failure before it can still be an ordinary error answer."""
        self._ready = await self._made()

    def start_calling(self) -> None:
        """Make the first chunk by calling."""
        self._ready = self._called()

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            while not self._closed:
                for chunk in self._ready or await self._made():
                    if chunk is END:
                        return
                    yield chunk
                self._ready = []
        finally:
            await self.aclose()

    def __iter__(self) -> Iterator[Any]:
        try:
            while not self._closed:
                for chunk in self._ready or self._called():
                    if chunk is END:
                        return
                    yield chunk
                self._ready = []
        finally:
            self.close()

    async def aclose(self) -> None:
        """End the stream; the generator that makes it is closed."""
        if self.drive is not None and not self._closed:
            await self.drive(self._ending())

    def close(self) -> None:
        """End the stream; the generator that makes it is closed."""
        if self.call is not None and not self._closed:
            self.call(self._ending())

    def _ending(self) -> Walk:
        self._closed = True
        iterator = self._stream.iterator
        try:
            if hasattr(iterator, "aclose"):
                yield iterator.aclose()
            else:
                iterator.close()
        except (ValueError, RuntimeError):
            pass  # it is at work just now, and ends when that lets go of it
        finally:
            if self.on_close is not None:
                self.on_close()

    async def _made(self) -> list[Any]:
        assert self.drive is not None
        return list(await self.drive(self._next()))

    def _called(self) -> list[Any]:
        assert self.call is not None
        return list(self.call(self._next()))

    def _next(self) -> Generator[Any, Any, list[Any]]:
        """Make chunks until there is one for the caller (a step may drop some) or none is left."""
        while True:
            item = yield Next(self._node, self._stream.iterator)
            if item is END:
                return [END]
            event = self._stream.chunk(self._event, item)
            run = _ChunkRun(event, self._run)
            if run.joints is not None:
                run.joints.enter(self._node)
            yield from self._walk(run, self._node, event, True, None, event)
            if run.answers_so_far:
                return [_body(each) for each in run.answers_so_far]
            if run.failure is not None:
                self.step, self.reported = run.failure.step, run.failure.error
                raise run.failure.error


def _body(event: Event) -> Any:
    body = event.body
    return body.body if isinstance(body, Response) else body
