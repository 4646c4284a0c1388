"""Messages between a process and its worker processes: a kind, a pickle, and large buffers beside it uncopied."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

# Kind, number of buffers, size of the pickle; the sizes of the buffers follow, then the pickle, then the buffers.
_HEAD: Final = struct.Struct("<BIQ")
_SMALL: Final = 64 * 1024


class Kind(IntEnum):
    """What a message is about: the first five go to a worker, the others come from it."""

    SETUP = 1
    """The levels of loggers by name, and ``sys.argv``; not answered."""
    LOAD = 2
    """The function that the worker is for; answered by READY or ERROR."""
    CALL = 3
    """A body to call the function with; answered by RESULT, STREAM or ERROR."""
    NEXT = 4
    """Make the next chunk of the stream that the function returned; answered by CHUNK, END or ERROR."""
    STOP = 5
    """Close that stream; answered by END if it is still open, else not at all."""
    READY = 6
    RESULT = 7
    STREAM = 8
    CHUNK = 9
    END = 10
    ERROR = 11
    LOG = 12
    """A log record of the worker; comes at any time."""


class Message(NamedTuple):
    """What was received: the kind, and the pickle with its buffers."""

    kind: int
    parts: Sequence[Buffer]


def frame(kind: Kind, parts: Sequence[Buffer] = (b"",)) -> list[Buffer]:
    """Return what to write for a message; short messages are one piece."""
    pickled, *buffers = parts
    sizes = struct.pack(f"<{len(buffers)}Q", *(memoryview(each).nbytes for each in buffers))
    head = _HEAD.pack(kind, len(buffers), len(pickled)) + sizes
    return [head + bytes(pickled), *buffers] if len(pickled) < _SMALL else [head, pickled, *buffers]


def messages(sock: socket.socket) -> Iterator[Message | None]:
    """Yield every message that comes, and ``None`` where not all of it is there yet.

    Ends where the other side has closed. A socket that does not block is read once more each time.
    """
    try:
        while True:
            kind, count, size = _HEAD.unpack((yield from _exactly(sock, _HEAD.size)))
            sizes = (yield from _exactly(sock, 8 * count)) if count else b""
            parts = [(yield from _exactly(sock, size))]
            for (each,) in struct.iter_unpack("<Q", sizes):
                parts.append((yield from _exactly(sock, each)))
            yield Message(kind, parts)
    except (EOFError, ConnectionError):
        return


def _exactly(sock: socket.socket, size: int) -> Any:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        try:
            received = sock.recv_into(rest)
        except BlockingIOError:
            yield None
            continue
        if not received:
            raise EOFError
        rest = rest[received:]
        if rest:  # a large message must not keep whoever reads it from everything else
            yield None
    return data


def send(sock: socket.socket, pieces: Sequence[Buffer]) -> None:
    """Write a message to a socket that blocks."""
    for piece in pieces:
        sock.sendall(piece)
