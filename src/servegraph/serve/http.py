"""The HTTP server of one process: binds, loads, serves, drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator

from servegraph.serve.connection import Connection
from servegraph.serve.control import Channel, WorkerEnd
from servegraph.serve.door import Door
from servegraph.serve.hub import Hub
from servegraph.serve.server import Server
from servegraph.serve.sockets import BACKLOG, address_of, bind, queue_is_empty, take_no_more

try:
    import uvloop
except ImportError:  # there is none for Windows
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

logger = logging.getLogger("servegraph.http")

# How long a thread that computes in Python may keep the others, the event loop among them, from running. Python's own
# 5 ms for each such thread would let a few busy steps delay health answers by more than 50 ms.
_SWITCH_INTERVAL = 0.0005


class HttpService:
    """A door that listens on a socket, in the running event loop."""

    def __init__(
        self, door: Door, sock: socket.socket, tls: ssl.SSLContext | None = None, shared: bool = False
    ) -> None:
        """Take a socket, which may be shared with other processes.

        With ``tls`` it speaks HTTPS; that context may ask for client certificates.
        """
        self.door = door
        self.address = address_of(sock, tls is not None)
        self._sock = sock
        self._tls = tls
        self._shared = shared
        limits = door.settings
        tick = min(1.0, limits.header_timeout / 4, limits.body_timeout / 4, limits.keep_alive / 4)
        self._hub = Hub(asyncio.get_running_loop(), max(tick, 0.02))
        self._listener: asyncio.Server | None = None

    async def listen(self) -> None:
        """Begin to take connections."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self.door, self._hub), sock=self._sock, ssl=self._tls, backlog=BACKLOG
        )

    async def leave(self) -> None:
        """Stop without failing a request.

        Readiness goes first: for ``drain_grace`` seconds new connections are still taken, while ``/readyz`` says 503
        and every answer asks its client to connect anew. Then nothing is taken any more and what is in flight is
        finished.
        """
        self.door.leaving = self._hub.leaving = True
        await asyncio.sleep(self.door.settings.drain_grace)
        if self._listener is not None:
            if not self._shared:
                take_no_more(self._sock)
            await queue_is_empty(self._sock)
            self._listener.close()
        await self._hub.leave(self.door.settings.drain_timeout)
        await self.door.stop()

    def drop(self) -> None:
        """Stop at once and drop every connection."""
        if self._listener is not None:
            self._listener.close()
        self._hub.drop_all()


def run(
    build: Callable[[], Server],
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    fd: int | None = None,
    control_fd: int | None = None,
    ready: Callable[[str], None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code: 0 when all was finished, 1 when a second signal forced it.

    The address is bound before anything is loaded (AddressInUse), ``ready`` is called with it once the models are
    there; a graph that cannot start raises GraphError. ``fd`` is a listening socket to use instead; ``control_fd`` is a
    worker's line to its supervisor (see ``workers``).
    """
    sock = bind(host, port) if fd is None else socket.socket(fileno=fd)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with contextlib.closing(sock), asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_run(build, sock, control_fd, ready, tls))


async def _run(
    build: Callable[[], Server],
    sock: socket.socket,
    control_fd: int | None,
    ready: Callable[[str], None] | None,
    tls: ssl.SSLContext | None,
) -> int:
    signals = _Signals()
    server = build()
    end: WorkerEnd | None = None
    if control_fd is not None:
        channel = await Channel.open(socket.socket(fileno=control_fd))
        end = WorkerEnd(channel, server.control, signals.stop.set)
    door = Door(server, end.control if end else None)
    service = HttpService(door, sock, tls, shared=end is not None)
    if (
        end is None
    ):  # alone, it can say that it is alive while it loads; a worker leaves requests to those that are ready
        await service.listen()
    if not await _unless(signals.stop, _start(door, service, end)):
        service.drop()
        return 0
    if end is not None:
        end.ready()
    if ready is not None:
        ready(service.address)
    await signals.stop.wait()
    finished = await _unless(signals.force, service.leave())
    if not finished:
        service.drop()
    if end is not None:
        await end.close()
    return 0 if finished else 1


async def _start(door: Door, service: HttpService, end: WorkerEnd | None) -> None:
    await door.start()
    if end is not None:
        await end.join()
        await service.listen()


async def _unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do some work unless an event comes first; return whether it was done; raises what it raised."""
    doing, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not doing.done():
        doing.cancel()
        await asyncio.wait({doing})
        return False
    doing.result()
    return True


class _Signals:
    """What SIGTERM and SIGINT ask for: the first one to stop, another one to stop at once."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._came)

    def _came(self) -> None:
        (self.force if self.stop.is_set() else self.stop).set()


@contextlib.contextmanager
def serve_in_background(
    build: Callable[[], Server], host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve from a thread of this process while the ``with`` block runs; gives the address once the models are loaded.

    Raises what starting the graph raised. Leaving the block finishes what is in flight.
    """
    background = _Background(build, bind(host, port), tls)
    background.thread.start()
    background.started.wait()
    try:
        if background.error is not None:
            raise background.error
        yield background.address
    finally:
        background.stop()


class _Background:
    """One server in a daemon thread with a loop of its own."""

    def __init__(self, build: Callable[[], Server], sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.started = threading.Event()
        self.error: BaseException | None = None
        self.address = ""
        self.thread = threading.Thread(target=self._run, args=(build, sock, tls), name="servegraph-http", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def _run(self, build: Callable[[], Server], sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            with contextlib.closing(sock), asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve(build, sock, tls))
        except BaseException as error:
            self.error = error
        finally:
            self.started.set()

    async def _serve(self, build: Callable[[], Server], sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        service = HttpService(Door(build()), sock, tls)
        await service.door.start()
        await service.listen()
        self.address = service.address
        self.started.set()
        await self._stop.wait()
        await service.leave()

    def stop(self) -> None:
        if self.thread.is_alive() and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join()
