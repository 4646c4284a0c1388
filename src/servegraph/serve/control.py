"""Changing the models of several workers at once: what one worker is asked is carried out in all of them.

A worker and its supervisor speak in JSON lines over a socket pair. ``ask`` goes up from a worker, ``do`` down to all,
``done`` back up from each, ``answer`` down to the one that asked. A worker that starts says ``hello`` and gets, as
``replay``, the changes made before its time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from servegraph.errors import EventError, GraphError, StepError, status_of
from servegraph.protocols import RouteControl

Change = dict[str, Any]
"""What is to be done: ``router``, ``action`` (``add``, ``remove`` or ``reload``), ``name`` and ``options``."""
Failure = dict[str, Any]
"""Why it was not: ``status`` and ``message``."""

_MAX_LINE = 16 * 1024 * 1024


class ChangeFailed(EventError):
    """A change of routes failed, in all workers or in those that the message names; these kept what they had."""

    def __init__(self, message: str, status_code: int) -> None:
        """Say where it failed and why."""
        super().__init__(message)
        self.status_code = status_code


class Channel:
    """One end of the pair between a worker and its supervisor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both directions; ``open`` makes them from a socket."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Channel:
        """Speak over a connected socket, which the channel then owns."""
        sock.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=_MAX_LINE))

    def send(self, **message: Any) -> None:
        """Send one message; one to an end that is gone is lost."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what comes until the other end is gone."""
        try:
            while line := await self._reader.readline():
                yield json.loads(line)
        except ConnectionError:
            return

    def close(self) -> None:
        """Close this end."""
        self._writer.close()


class WorkerEnd:
    """A worker's side: carries out what is asked of all, and asks for what was asked of it."""

    def __init__(self, channel: Channel, local: Callable[[str], RouteControl], on_orphaned: Callable[[], None]) -> None:
        """Take who changes the routes of this process, and what to do when the supervisor is gone."""
        self._channel = channel
        self._local = local
        self._on_orphaned = on_orphaned
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[list[Failure]]] = {}
        self._up_to_date = asyncio.Event()
        self._listener = asyncio.create_task(self._listen())

    async def join(self) -> None:
        """Catch up with the changes made before this worker's time."""
        self._channel.send(hello=True)
        await self._up_to_date.wait()

    def ready(self) -> None:
        """Tell the supervisor that this worker takes requests."""
        self._channel.send(ready=True)

    def control(self, router: str = "") -> RouteControl:
        """Return what changes a router's routes in every worker."""
        return _SharedControl(self, self._local(router), router)

    def ask(self, change: Change) -> None:
        """Have a change carried out in every worker; blocks until it is; raises ChangeFailed."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            raise StepError(
                "models cannot be changed from the event loop's thread: it would wait for itself; use a thread"
            )
        failures = asyncio.run_coroutine_threadsafe(self._ask(change), self._loop).result()
        if failures:
            message = "; ".join(f"worker {each['worker']}: {each['message']}" for each in failures)
            if len({each["message"] for each in failures}) == 1 and failures[0]["everywhere"]:
                message = failures[0]["message"]
            raise ChangeFailed(message, failures[0]["status"])

    async def close(self) -> None:
        """Stop listening."""
        self._listener.cancel()
        self._channel.close()

    async def _ask(self, change: Change) -> list[Failure]:
        number = next(self._numbers)
        answer: asyncio.Future[list[Failure]] = self._loop.create_future()
        self._answers[number] = answer
        self._channel.send(ask=number, change=change)
        return await answer

    async def _listen(self) -> None:
        async for message in self._channel.messages():
            if "replay" in message:
                for change in message["replay"]:
                    await self._carry_out(change)
                self._up_to_date.set()
            elif "do" in message:
                self._channel.send(done=message["do"], failure=await self._carry_out(message["change"]))
            elif "answer" in message:
                self._answers.pop(message["answer"]).set_result(message["failures"])
        self._on_orphaned()

    async def _carry_out(self, change: Change) -> Failure | None:
        try:
            await asyncio.to_thread(carry_out, self._local(change["router"]), change)
        except Exception as error:
            return {"status": 400 if isinstance(error, GraphError) else status_of(error), "message": str(error)}
        return None


def carry_out(control: RouteControl, change: Change) -> None:
    """Carry out one change here."""
    match change["action"]:
        case "add":
            control.add(change["name"], **change["options"])
        case "remove":
            control.remove(change["name"])
        case "reload":
            control.reload(change["name"])


class _SharedControl:
    """The routes of one router in all workers."""

    def __init__(self, end: WorkerEnd, local: RouteControl, router: str) -> None:
        self._end = end
        self._local = local
        self._router = router

    def add(self, name: str, **options: Any) -> None:
        """Add (or replace) a route in every worker; its options have to be plain data."""
        self._ask("add", name, options)

    def remove(self, name: str) -> None:
        """Take a route away in every worker."""
        self._ask("remove", name)

    def reload(self, name: str) -> None:
        """Load a route's object again in every worker."""
        self._ask("reload", name)

    def names(self) -> Sequence[str]:
        """Return the routes there are, which are the same in every worker."""
        return self._local.names()

    def _ask(self, action: str, name: str, options: dict[str, Any] | None = None) -> None:
        self._end.ask({"router": self._router, "action": action, "name": name, "options": options or {}})
