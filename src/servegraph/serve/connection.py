"""One HTTP/1.1 connection: bytes to the door and back, bounded in size and in time.

A request is handed to the door when it is there whole; requests of one connection are answered one after the other,
in the order in which they came. A client that leaves cancels what runs for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import httptools

from servegraph.errors import EventError
from servegraph.events import Headers
from servegraph.serve.door import (
    MAX_HEADERS,
    BadRequest,
    Door,
    HeadersTooLarge,
    Reply,
    RequestTimeout,
    UriTooLong,
    refusal,
)
from servegraph.serve.hub import Hub

_STATUS_LINES: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER: Final = 2.0
# So long a leaving server waits for the first request of a connection that was made just before.
_FIRST_REQUEST: Final = 0.5
_MAX_URL: Final = 16 * 1024
# Up to this size head and body go out as one piece; above it the copy would cost more than a second system call.
_ONE_PIECE: Final = 64 * 1024

# What the connection is waiting for: a request, the rest of a head, the rest of a body, or only its end.
_IDLE, _HEAD, _BODY, _END = range(4)


class _Request:
    """One request while it is being read, and until it is answered."""

    __slots__ = (
        "body", "count", "head_size", "headers", "http_version", "keep_alive", "method", "received", "refusal", "url",
    )  # fmt: skip

    def __init__(self) -> None:
        self.url = b""
        self.method = ""
        self.headers: dict[str, str] = {}
        self.count = 0
        self.head_size = 0
        self.body: bytes | bytearray = b""
        self.received = 0
        self.keep_alive = True
        self.http_version = "1.1"
        self.refusal: Reply | None = None

    def plain_head(self) -> bytes:
        """Return the head as it would be without the wish for another protocol."""
        wishes = self.headers.get("connection", "").split(",")
        others = ",".join(wish for wish in wishes if wish.strip().lower() != "upgrade")
        kept = {**self.headers, "connection": others}
        lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items() if name != "upgrade")
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.method.encode(), self.url, lines.encode("latin-1"))


class Connection(asyncio.Protocol):
    """The protocol of one connection; lives from ``connection_made`` to ``connection_lost``."""

    def __init__(self, door: Door, hub: Hub) -> None:
        """Take the door that answers and the hub that knows all connections."""
        self._door = door
        self._hub = hub
        self._loop = hub.loop
        self._transport: asyncio.Transport
        self._parser: httptools.HttpRequestParser | None = None
        self._max_head = door.settings.max_headers
        self._request = _Request()
        self._waiting: deque[_Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._input = _IDLE
        self._since = 0.0
        self._writable: asyncio.Future[None] | None = None
        self._stuck_since = 0.0
        self._paused = False
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._since = self._loop.time()
        self._hub.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and stop what runs for the client that left."""
        self._hub.discard(self)
        self._waiting.clear()
        self._parser = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after a refusal is thrown away."""
        if self._input == _END or self._parser is None:
            return
        request = self._request
        received = request.received
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(BadRequest(f"this is not a valid HTTP request: {error}"))
        if self._request is request and request.received == received and self._input in (_HEAD, _BODY):
            # Neither a whole head nor a byte of the body: the parser keeps it all, so that it must be bounded here.
            request.head_size += len(data)
            if request.head_size > self._max_head:
                self._refuse(self._too_many_headers())

    def _feed(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # A wish for another protocol may be declined by an answer in this one. The parser has stopped reading at
            # the end of the head, so that another one starts with a head that has no such wish.
            if self._input != _END:
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(self._request.plain_head())
                self._feed(data[upgrade.args[0] :])

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._input == _END:
            raise ConnectionAbortedError("nothing is read after a refusal")
        self._request = _Request()
        self._asked = True
        self._input = _HEAD
        self._since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        """Take (a piece of) the address."""
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; several of a name become one, joined as HTTP joins them."""
        request = self._request
        request.count += 1
        request.head_size += len(name) + len(value) + 4
        if self._input != _HEAD:  # a trailer, which must never change what the head said
            return
        headers = request.headers
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in headers:
            text = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        """Refuse what the head alone shows to be wrong; else let the body come."""
        request, parser = self._request, self._parser
        assert parser is not None
        request.method = parser.get_method().decode("latin-1")
        request.keep_alive = parser.should_keep_alive()
        request.http_version = parser.get_http_version()
        self._since = self._loop.time()
        if parser.should_upgrade() and request.method != "CONNECT":
            return
        self._input = _BODY
        if request.http_version not in ("1.1", "1.0"):
            error: EventError = BadRequest(f"HTTP/{request.http_version} is not spoken here, only 1.0 and 1.1")
        elif request.head_size > self._max_head or request.count > MAX_HEADERS:
            error = self._too_many_headers()
        elif len(request.url) > _MAX_URL:
            error = UriTooLong(f"the address is longer than {_MAX_URL} bytes")
        else:
            refused = self._door.check(request.method, request.headers)
            if refused is not None:
                self._finish_request(refused)
            elif "expect" in request.headers and self._task is None:
                self._transport.write(_CONTINUE)
            return
        self._refuse(error)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        request = self._request
        if self._input == _END:
            return
        request.received += len(data)
        if not request.body:
            request.body = data
        else:
            if type(request.body) is bytes:
                request.body = bytearray(request.body)
            request.body += data
        if request.received > self._door.settings.max_body:
            request.body = b""
            self._refuse(self._door.too_large())

    def on_message_complete(self) -> None:
        """Hand the request over."""
        if self._input == _BODY:
            self._input = _IDLE
            self._finish_request(None)

    def _too_many_headers(self) -> HeadersTooLarge:
        return HeadersTooLarge(f"a request may have {MAX_HEADERS} headers and {self._max_head} bytes of them")

    # Answering

    def _refuse(self, error: EventError) -> None:
        if self._input != _END:
            self._finish_request(refusal(error, self._request.headers))

    def _finish_request(self, refused: Reply | None) -> None:
        """Answer a request now, or after those that came before it; after a refusal nothing more is read."""
        request = self._request
        request.refusal = refused
        if refused is not None:
            request.keep_alive = False
            self._input = _END
        if self._task is not None:
            self._waiting.append(request)
            self._pause_reading()
        elif refused is not None:
            self._write(request, refused)
        else:
            self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: _Request) -> None:
        while True:
            reply = request.refusal
            if reply is None:
                path, query = _split(request.url)
                headers = Headers()
                dict.update(headers, request.headers)
                reply = await self._door.answer(request.method, path, query, headers, request.body)
            if reply.pieces is not None:
                last = await self._stream(request, reply, reply.pieces)
            else:
                last = self._write(request, reply)
            if last or not self._waiting:
                break
            if self._writable is not None:
                await self._writable
            await asyncio.sleep(0)
            request = self._waiting.popleft()
        self._task = None
        self._since = self._loop.time()
        self._resume_reading()

    async def _stream(self, request: _Request, reply: Reply, pieces: AsyncGenerator[bytes, None]) -> bool:
        """Send a reply piece by piece, no faster than the client reads; return whether it was the connection's last."""
        chunked = request.http_version == "1.1"
        last = not request.keep_alive or not chunked or self._hub.leaving
        if chunked:
            reply.headers.append((b"transfer-encoding", b"chunked"))
        self._transport.write(b"".join(self._head(reply, last)))
        try:
            async for piece in pieces:
                if piece:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if self._writable is not None:
                    await self._writable
        except Exception:
            self._transport.abort()  # without its end, the client cannot take this for the whole answer
            return True
        finally:
            await pieces.aclose()
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        if last:
            self._close(linger=False)
        return last

    def _head(self, reply: Reply, last: bool) -> list[bytes]:
        head = [_STATUS_LINES.get(reply.status) or b"HTTP/1.1 %d \r\n" % reply.status, self._hub.date]
        head += [b"%b: %b\r\n" % pair for pair in reply.headers]
        head.append(b"connection: close\r\n\r\n" if last else b"\r\n")
        return head

    def _write(self, request: _Request, reply: Reply) -> bool:
        """Send a reply; return whether it was the connection's last."""
        last = not request.keep_alive or reply.close or self._hub.leaving
        head = self._head(reply, last)
        if request.method != "HEAD" and len(reply.body) <= _ONE_PIECE:
            head.append(reply.body)
        self._transport.write(b"".join(head))
        if request.method != "HEAD" and len(reply.body) > _ONE_PIECE:
            self._transport.write(reply.body)
        if last:
            self._close(linger=reply.close)
        return last

    def _close(self, linger: bool) -> None:
        """Close; where the client may still be sending, go on reading for a while, or it would never see the answer."""
        self._input = _END
        self._since = self._loop.time()
        self._waiting.clear()
        if linger and self._transport.can_write_eof():
            self._transport.write_eof()
            self._resume_reading()
        else:
            self._transport.close()

    # Backpressure and time

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks: read nothing more from it."""
        self._writable = self._loop.create_future()
        self._stuck_since = self._loop.time()
        self._pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
        if not self._waiting:
            self._resume_reading()

    def _pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    @property
    def busy(self) -> bool:
        """Whether a request is being read, answered or sent, or the first one must be on its way."""
        under_way = self._task is not None or self._input in (_HEAD, _BODY) or self._writable is not None
        return under_way or not self._asked

    def close(self) -> None:
        """Close a connection on which nothing is under way."""
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection and what runs for it."""
        self._transport.abort()

    def check_time(self, now: float) -> None:
        """End the connection where its client is too slow or idle for too long."""
        limits, waited = self._door.settings, now - self._since
        if self._writable is not None:
            if now - self._stuck_since > limits.body_timeout:
                self._transport.abort()
        elif self._task is not None:
            return
        elif self._input == _END:
            if waited > _LINGER:
                self._transport.abort()
        elif self._input == _IDLE:
            if waited > (_FIRST_REQUEST if self._hub.leaving else limits.keep_alive):
                self._transport.close()
        elif self._input == _HEAD:
            if waited > limits.header_timeout:
                self._refuse(RequestTimeout(f"the headers did not come within {limits.header_timeout:g} s"))
        elif waited > self._door.time_for_body(self._request.received):
            self._refuse(self._door.too_slow())


def _split(url: bytes) -> tuple[str, str]:
    """Return the path, as it was sent, and the query of a request's address, which may be a whole URL."""
    target = url.decode("latin-1")
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query
