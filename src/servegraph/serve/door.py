"""What HTTP means to a graph, whoever carries it: a request becomes an event, a response or a refusal a reply."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from time import monotonic
from typing import Final

from servegraph.engine.stream import Chunks
from servegraph.errors import BadEvent, EventError, MethodNotAllowed, NotReady, TooLarge, status_of
from servegraph.events import Event, Headers, Response, Trigger, new_id
from servegraph.protocols import RouteControl
from servegraph.serve.answers import error_response
from servegraph.serve.repository import PREFIX, Repository
from servegraph.serve.server import Server
from servegraph.wire.bodies import write_body
from servegraph.wire.streams import Framing, framing

logger = logging.getLogger("servegraph.http")

Pairs = list[tuple[bytes, bytes]]
Bytes = bytes | bytearray

HTTP: Final = Trigger("http")
MAX_HEADERS: Final = 100
# A body may take longer than the body timeout as long as it comes at this many bytes a second.
MIN_RATE: Final = 16 * 1024
# So long a stream may go on without letting others have the loop, in seconds.
_BREATH: Final = 0.002

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# These speak of one connection, not of the request; a step that passes headers on must not repeat them.
_HOP_BY_HOP: Final = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# What the door itself says about an answer; a step cannot say it.
_DOORS_OWN: Final = _HOP_BY_HOP | {"content-length", "content-type", "x-request-id"}
# Names of these headers are known to be in lower case, which spares each look-up a call of ``Headers.get``.
_get: Final = dict.get
_ID: Final = re.compile(r"[!-~]{1,128}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class BadRequest(BadEvent):
    """What came in is not HTTP."""


class RequestTimeout(EventError):
    """The client took too long to send its request."""

    status_code = 408


class UriTooLong(EventError):
    """The address of the request is too long."""

    status_code = 414


class UnsupportedMediaType(EventError):
    """The body is encoded in a way that the server does not read."""

    status_code = 415


class ExpectationFailed(EventError):
    """The client expects something else than ``100-continue``."""

    status_code = 417


class HeadersTooLarge(EventError):
    """The request has too many headers, or too long ones."""

    status_code = 431


class Reply:
    """An answer as HTTP writes it; ``close`` ends the connection because more of the request may be on its way.

    A streamed answer has ``pieces`` in place of a body; who writes it must exhaust or ``aclose`` them. When asking for
    the next piece raises, the answer has to be broken off.
    """

    __slots__ = ("body", "close", "headers", "pieces", "status")

    def __init__(self, status: int, headers: Pairs, body: bytes = b"", close: bool = False) -> None:
        """Take what goes over the wire; header names are in lower case."""
        self.status = status
        self.headers = headers
        self.body = body
        self.close = close
        self.pieces: AsyncGenerator[bytes, None] | None = None


class Door:
    """Answers the requests of any HTTP server with one ``Server``; ``answer`` never raises."""

    def __init__(self, server: Server, control: Callable[[str], RouteControl] | None = None) -> None:
        """Take the server, and who changes its routes where that is not the server alone (several workers)."""
        self.server = server
        self.settings = server.settings
        self.leaving = False
        self._not_started = "the server is starting"
        self._repository = Repository(control or server.control, server.settings.model_control)

    async def start(self) -> None:
        """Start the server; raises GraphError, whose text requests then get as well."""
        try:
            await self.server.start()
        except Exception as error:
            self._not_started = f"the graph could not start: {error}"
            raise
        self._not_started = ""

    async def stop(self) -> None:
        """Finish what is in flight, within the server's ``drain_timeout``, and stop the server."""
        self.leaving = True
        await self.server.drain()
        await self.server.stop()

    def check(self, method: str, headers: dict[str, str]) -> Reply | None:
        """Return a refusal where the headers alone show that the request cannot be taken, before its body is read."""
        if method not in _METHODS:
            reply = refusal(MethodNotAllowed(f"method {method} is not served"), headers)
            reply.headers.append((b"allow", ", ".join(sorted(_METHODS)).encode()))
            return reply
        length = _get(headers, "content-length")
        if length is not None and length.isdecimal() and int(length) > self.settings.max_body:
            return refusal(self.too_large(), headers)
        encoding = _get(headers, "content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            message = f"a body with content-encoding '{encoding}' is not read; send it unencoded"
            reply = refusal(UnsupportedMediaType(message), headers)
            reply.headers.append((b"accept-encoding", b"identity"))
            return reply
        expected = _get(headers, "expect")
        if expected is not None and expected.lower() != "100-continue":
            return refusal(ExpectationFailed("only 'Expect: 100-continue' can be expected"), headers)
        return None

    def too_large(self) -> TooLarge:
        """Return the error for a body over the limit."""
        return TooLarge(f"the body is larger than {self.settings.max_body} bytes (max_body)")

    def time_for_body(self, received: int) -> float:
        """Return the seconds that a body may have taken when so many bytes of it have come."""
        return self.settings.body_timeout + received / MIN_RATE

    def too_slow(self) -> RequestTimeout:
        """Return the error for a body that comes too slowly."""
        return RequestTimeout(f"the body did not come within {self.settings.body_timeout:g} s (body_timeout)")

    async def answer(self, method: str, path: str, query: str, headers: Headers, body: Bytes) -> Reply:
        """Answer one request; its path is as it was sent, its headers are still those of its connection."""
        id = request_id(headers)
        try:
            if path in _OWN_PATHS:
                return self._health(method, path, id)
            if self._not_started:
                raise NotReady(self._not_started)
            if path.startswith(PREFIX):
                response = await self._repository.answer(method, path, body)
            else:
                response = await self.server.handle(_event(id, method, path, query, headers, body))
                if type(response.body) is Chunks:
                    return await _streamed(response, response.body, id, method, _get(headers, "accept", ""))
            return _reply(response, id)
        except Exception as error:
            return _failed(error, id)

    def _health(self, method: str, path: str, id: str) -> Reply:
        if method not in ("GET", "HEAD"):
            reply = _failed(MethodNotAllowed(f"{path} is asked with GET"), id)
            reply.headers.append((b"allow", b"GET, HEAD"))
            return reply
        if path == "/healthz":
            return _reply(Response({"alive": True}), id)
        ready = self.server.ready and not self.leaving and not self._not_started
        return _reply(Response({"ready": ready}, 200 if ready else 503), id)


def refusal(error: Exception, headers: dict[str, str]) -> Reply:
    """Return the reply for a request that never becomes an event; as it may not be read whole, its connection ends."""
    return _failed(error, request_id(headers), close=True)


_OWN_PATHS: Final = frozenset({"/healthz", "/readyz"})


def request_id(headers: dict[str, str]) -> str:
    """Return the id a client gave its request, where it is fit to be logged and sent back, else a new one."""
    id = _get(headers, "mlrun-event-id") or _get(headers, "x-request-id")
    return id if id and _ID.fullmatch(id) else new_id()


def _event(id: str, method: str, path: str, query: str, headers: Headers, body: Bytes) -> Event:
    if not _HOP_BY_HOP.isdisjoint(headers):
        named = headers.get("connection", "").lower().split(",")
        for name in (*_HOP_BY_HOP, *(each.strip() for each in named)):
            headers.pop(name, None)
    content_type = _get(headers, "content-type", "")
    event = Event(
        bytes(body),
        id=id,
        path=_get(headers, "mlrun-event-path") or path,
        method=method,
        content_type=content_type,
        trigger=HTTP,
    )
    event.headers = headers
    if query:
        event.query = query  # type: ignore[attr-defined]
    return event


def _reply(response: Response, id: str) -> Reply:
    status = response.status_code
    if not 200 <= status <= 599:
        raise ValueError(f"a step answered with status {status}; it has to be 200 to 599")
    headers: Pairs = [(b"x-request-id", id.encode())]
    body = b""
    if status not in (204, 304):
        body, content_type = write_body(response.body)
        headers.append((b"content-type", (response.content_type or content_type).encode("latin-1")))
        headers.append((b"content-length", b"%d" % len(body)))
        if response.content_type and not _VALUE.fullmatch(response.content_type):
            raise ValueError(f"a step set the content type {response.content_type!r}, which HTTP cannot carry")
    if response.headers:
        headers.extend(_step_headers(response.headers))
    return Reply(status, headers, body)


async def _streamed(response: Response, chunks: Chunks, id: str, method: str, accept: str) -> Reply:
    way = framing(accept, response.content_type, chunks.first)
    try:
        headers: Pairs = [
            (b"x-request-id", id.encode()),
            (b"content-type", way.content_type.encode("latin-1")),
            (b"cache-control", b"no-store"),
            *_step_headers(response.headers),
        ]
    except ValueError:
        await chunks.aclose()
        raise
    reply = Reply(response.status_code, headers)
    if method == "HEAD":
        await chunks.aclose()
    else:
        reply.pieces = _pieces(chunks, way, id)
    return reply


async def _pieces(chunks: Chunks, way: Framing, id: str) -> AsyncGenerator[bytes, None]:
    stream = aiter(chunks)
    pause = monotonic() + _BREATH
    try:
        async for chunk in stream:
            yield way.chunk(chunk)
            if monotonic() > pause:
                # A generator that is always ready would keep the loop from everything else.
                await asyncio.sleep(0)
                pause = monotonic() + _BREATH
    except Exception as error:
        if error is not chunks.reported:
            logger.error("the stream of request %s broke off", id, exc_info=error)
        told = way.error(error_response(Event(id=id), error, chunks.step).body)
        if told is None:
            raise
        yield told
    finally:
        await chunks.aclose()


def _step_headers(given: Mapping[str, str]) -> Pairs:
    pairs: Pairs = []
    for name, value in given.items():
        name, value = name.lower(), str(value)
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"a step set the header {name!r}: {value!r}, which HTTP cannot carry")
        if name not in _DOORS_OWN:
            pairs.append((name.encode("latin-1"), value.encode("latin-1")))
    return pairs


def _failed(error: Exception, id: str, close: bool = False) -> Reply:
    """Say what went wrong; the traceback of what is not the request's fault goes to the log, never to the client."""
    if status_of(error) == 500:
        logger.error("request %s could not be answered", id, exc_info=error)
    reply = _reply(error_response(Event(id=id), error), id)
    reply.close = close
    return reply
