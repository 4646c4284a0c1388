"""The door as an ASGI app: it runs under any ASGI server, with or without lifespan events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote

from servegraph.errors import EventError, NotReady
from servegraph.events import Headers
from servegraph.serve.door import Door, Reply, refusal
from servegraph.serve.server import Server

logger = logging.getLogger("servegraph.http")

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class _ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


def make_app(build: Callable[[], Server]) -> ASGIApp:
    """Return an ASGI app over the server that ``build`` makes.

    The server is built and started by the lifespan's startup (which fails with the graph's faults), or, under an ASGI
    server that sends none, by the first request.
    """
    return _App(build)


class _App:
    """One ASGI app; an instance belongs to one event loop."""

    def __init__(self, build: Callable[[], Server]) -> None:
        self._build = build
        self._door: Door | None = None
        self._starting: asyncio.Task[Door] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003, "reason": "only HTTP is served here"})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            try:
                if message["type"] == "lifespan.startup":
                    await self._started()
                elif self._door is not None:
                    await self._door.stop()
            except Exception as error:
                logger.error("%s failed", message["type"], exc_info=error)
                await send({"type": f"{message['type']}.failed", "message": str(error)})
                return
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _started(self) -> Door:
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        # A client that leaves while the models load must not stop the loading that others wait for.
        return await asyncio.shield(self._starting)

    async def _start(self) -> Door:
        door = Door(self._build())
        await door.start()
        self._door = door
        return door

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        door = self._door
        if door is None:
            try:
                door = await self._started()
            except Exception as error:
                cause = NotReady(f"the graph could not start: {error}", retry_after=None)
                await _send(refusal(cause, headers), scope, send)
                return
        try:
            reply = await self._answer(door, scope, headers, receive)
            if reply.pieces is not None:
                await _unless_the_client_leaves(_stream(reply, reply.pieces, send), receive)
                return
        except _ClientLeftError:
            return
        await _send(reply, scope, send)

    async def _answer(self, door: Door, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        method = scope["method"]
        refused = door.check(method, headers)
        if refused is not None:
            return refused
        try:
            body = await _read_body(door, receive)
        except EventError as error:
            return refusal(error, headers)
        query = scope["query_string"].decode("latin-1")
        done, answer = _begin(door.answer(method, _path(scope), query, headers, body))
        return answer if done else await _unless_the_client_leaves(answer, receive)


async def _read_body(door: Door, receive: Receive) -> bytes | bytearray:
    done, message = _begin(_next(receive))
    if done and not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise _ClientLeftError
        body: bytes = message.get("body", b"")
        if len(body) > door.settings.max_body:
            raise door.too_large()
        return body
    return await _read_long_body(door, receive, message if done else await _in_time(door, message, 0.0, 0))


async def _next(receive: Receive) -> Message:
    """Make a coroutine of what the server's ``receive`` returns, which may be any awaitable."""
    return await receive()


async def _read_long_body(door: Door, receive: Receive, message: Message) -> bytearray:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    body = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise _ClientLeftError
        body += message.get("body", b"")
        if len(body) > door.settings.max_body:
            raise door.too_large()
        if not message.get("more_body"):
            return body
        message = await _in_time(door, receive(), loop.time() - begun, len(body))


async def _in_time(door: Door, message: Awaitable[Message], seconds: float, received: int) -> Message:
    """Wait for the next piece of a body until the whole of it comes too slowly."""
    try:
        async with asyncio.timeout(door.time_for_body(received) - seconds):
            return await message
    except TimeoutError:
        raise door.too_slow() from None


async def _unless_the_client_leaves(answer: Awaitable[T], receive: Receive) -> T:
    """Wait for the answer (or for the end of a streamed one), and give it up when the client goes away."""
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.ensure_future(_watch(receive, task))
    try:
        return await answer
    except asyncio.CancelledError:
        if watcher.done() and not watcher.cancelled():
            task.uncancel()
            raise _ClientLeftError from None
        raise
    finally:
        watcher.cancel()


async def _watch(receive: Receive, task: asyncio.Task[Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


class _Begun:
    """A coroutine that has run up to its first wait; awaiting it goes on from there, in the same task."""

    __slots__ = ("_coroutine", "_wait")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], wait: Any) -> None:
        self._coroutine = coroutine
        self._wait = wait

    def __await__(self) -> Generator[Any, Any, Any]:
        wait = self._wait
        while True:
            error: BaseException | None = None
            try:
                yield wait
            except BaseException as thrown:
                error = thrown
            try:
                wait = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as stop:
                return stop.value


def _begin(coroutine: Any) -> tuple[bool, Any]:
    """Run a coroutine up to its first wait; return (True, its result) or (False, what to await for it).

    Most requests never wait: their body is there and their graph has nothing to wait for. Those need no timer and
    nobody who watches the client, and so should not pay for them.
    """
    try:
        wait = coroutine.send(None)
    except StopIteration as stop:
        return True, stop.value
    return False, _Begun(coroutine, wait)


def _path(scope: Scope) -> str:
    """Return the path as it was sent: a decoded one cannot tell a ``%2F`` inside a model's name from a slash."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"], safe="/:@!$&'()*+,;=~") if raw is None else raw.partition(b"?")[0].decode("latin-1")


def _headers(scope: Scope) -> Headers:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    plain = Headers()
    dict.update(plain, headers)
    return plain


async def _stream(reply: Reply, pieces: AsyncGenerator[bytes, None], send: Send) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    try:
        # When asking for a piece raises, the server sees the app fail and breaks the answer off.
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        await pieces.aclose()
    await send({"type": "http.response.body", "body": b""})


async def _send(reply: Reply, scope: Scope, send: Send) -> None:
    headers = reply.headers
    if reply.close and scope["http_version"].startswith("1"):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body})
