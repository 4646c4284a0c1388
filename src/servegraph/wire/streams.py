"""How the chunks of a streamed answer are written: server-sent events where asked for, else lines or raw pieces."""

from __future__ import annotations

from typing import Any, Final

from servegraph.wire.bodies import BYTES, TEXT, write_body
from servegraph.wire.json import dumps

SSE: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"


class Framing:
    """One way to write chunks: its content type, and how a chunk or a late error looks.

    ``error`` returns None where the way has no place for an error; the connection must then break off, so that the
    client does not take what it has for the whole.
    """

    content_type: str = LINES

    def chunk(self, chunk: Any) -> bytes:
        """Return the bytes of one chunk: a line of JSON."""
        return dumps(chunk) + b"\n"

    def error(self, body: dict[str, Any]) -> bytes | None:
        """Return the bytes that tell of an error after the first chunk."""
        return dumps(body) + b"\n"


class _Pieces(Framing):
    def __init__(self, content_type: str) -> None:
        self.content_type = content_type

    def chunk(self, chunk: Any) -> bytes:
        return write_body(chunk)[0]

    def error(self, body: dict[str, Any]) -> bytes | None:
        return None


class _Events(Framing):
    content_type = SSE + "; charset=utf-8"

    def chunk(self, chunk: Any) -> bytes:
        data = write_body(chunk)[0]
        if data.startswith((b"data:", b"event:", b"id:", b":")) and data.endswith(b"\n\n"):
            return data  # the step has written an event itself
        return b"".join(b"data: %b\n" % line for line in data.splitlines() or [b""]) + b"\n"

    def error(self, body: dict[str, Any]) -> bytes | None:
        return b"event: error\ndata: " + dumps(body) + b"\n\n"


def framing(accept: str, content_type: str, first: Any) -> Framing:
    """Return the way to write a stream, by what the client accepts, what the step said, and what the first chunk is."""
    if SSE in accept.lower() or content_type.startswith(SSE):
        return _Events()
    if isinstance(first, str):
        return _Pieces(content_type or TEXT)
    if isinstance(first, bytes | bytearray | memoryview):
        return _Pieces(content_type or BYTES)
    return Framing()
