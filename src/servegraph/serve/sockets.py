"""The listening socket: bound with a clear error, named as an address, closed without resetting who waits in it."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import select
import socket
import struct
import sys
from time import monotonic
from typing import Final

BACKLOG: Final = 2048

_SO_ATTACH_FILTER: Final = 26
_DROP_ALL: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)  # one instruction of the kernel's packet filter: return 0
_LONGEST_WAIT: Final = 0.5


class AddressInUse(OSError):
    """Another process listens where this one should."""

    def __str__(self) -> str:
        return str(self.strerror)


def bind(host: str = "127.0.0.1", port: int = 8080) -> socket.socket:
    """Return a socket that listens at an address; raises AddressInUse, which says what to do, where it is taken."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        message = f"another program listens on {host}:{port}; stop it, or choose another port (0 finds a free one)"
        raise AddressInUse(errno.EADDRINUSE, message) from None
    return sock


def address_of(sock: socket.socket, secure: bool = False) -> str:
    """Return the URL under which a bound socket is reached."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http{'s' if secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def take_no_more(sock: socket.socket) -> None:
    """Let no new connection into a listening socket's queue, in any process that shares it; those in it stay.

    Closing a socket resets the connections that wait in its queue, and under load there always are some. Only Linux can
    keep the queue from filling; elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


async def queue_is_empty(sock: socket.socket) -> None:
    """Wait until the connections in a listening socket's queue have been taken, for half a second at most."""
    until = monotonic() + _LONGEST_WAIT
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while poll.poll(0) and monotonic() < until:
        await asyncio.sleep(0.002)
