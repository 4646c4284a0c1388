"""A worker process from within: loads one function and calls it with the bodies it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import logging
import logging.handlers
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from servegraph.errors import StepError
from servegraph.pools.messages import Kind, Message, frame, messages, send
from servegraph.pools.pickles import pack_home, unpack

ORPHAN_GRACE: Final = 2.0
"""Seconds that a call may go on after the process that asked for it is gone."""


def main(descriptor: int) -> None:
    """Serve the process at the other end of a socket until it closes its end."""
    with socket.socket(fileno=descriptor) as sock, contextlib.suppress(BrokenPipeError, ConnectionError):
        threading.Thread(target=_watch, args=(descriptor,), daemon=True).start()
        Worker(sock).serve()


def _watch(descriptor: int) -> None:
    """End this process when the other one is gone, also in the middle of a call."""
    line = select.poll()
    line.register(descriptor, 0)  # a hang-up is told in any case
    line.poll()
    time.sleep(ORPHAN_GRACE)
    os._exit(1)


class Worker:
    """Answers messages, one after the other, on the main thread."""

    def __init__(self, sock: socket.socket) -> None:
        """Take the socket that leads to the process that started this one."""
        self._sock = sock
        self._sending = threading.Lock()  # log records come from any thread
        self._loop = asyncio.Runner()
        self._function: Callable[[Any], Any] = _nothing
        self._stream: Any = None

    def serve(self) -> None:
        """Answer until the other side closes."""
        does = {
            Kind.SETUP: self._set_up,
            Kind.LOAD: self._load,
            Kind.CALL: self._call,
            Kind.NEXT: self._next,
            Kind.STOP: self._stop,
        }
        with self._loop:
            for message in filter(None, messages(self._sock)):
                try:
                    does[Kind(message.kind)](message)
                except BaseException as error:  # sys.exit() is the failure of an event, not the end of the worker
                    self._failed(error)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """Send a log record, as the queue of a QueueHandler."""
        with contextlib.suppress(OSError):
            self._tell(Kind.LOG, vars(record))

    def _set_up(self, message: Message) -> None:
        levels, sys.argv[:] = unpack(message.parts)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        # The handlers are those of the process that started this one: it gets the records.
        logging.getLogger().addHandler(logging.handlers.QueueHandler(self))  # type: ignore[arg-type]

    def _load(self, message: Message) -> None:
        self._function = unpack(message.parts)
        self._tell(Kind.READY)

    def _call(self, message: Message) -> None:
        result = self._function(unpack(message.parts))
        if inspect.isawaitable(result):
            result = self._loop.run(_awaited(result))
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            self._stream = result
            self._tell(Kind.STREAM)
        else:
            self._tell(Kind.RESULT, result)

    def _next(self, _: Message) -> None:
        try:
            chunk = self._loop.run(_awaited(anext(self._stream))) if _is_async(self._stream) else next(self._stream)
        except (StopIteration, StopAsyncIteration):
            self._stream = None
            self._tell(Kind.END)
        except BaseException:
            self._stream = None
            raise
        else:
            self._tell(Kind.CHUNK, chunk)

    def _stop(self, _: Message) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            if _is_async(stream):
                self._loop.run(stream.aclose())
            else:
                stream.close()
        except BaseException:  # nobody waits for this stream any more
            logging.getLogger("servegraph").exception("a stream that was left early failed to close")
        self._tell(Kind.END)

    def _tell(self, kind: Kind, value: Any = None) -> None:
        try:
            parts = pack_home(value)
        except Exception as error:
            told = f"what the step returned cannot leave its process: {type(error).__name__}: {error}"
            raise StepError(told) from error
        self._send(kind, parts)

    def _failed(self, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, SystemExit):
            error = StepError("the step called sys.exit()")
        elif not isinstance(error, Exception):
            error = StepError(f"{type(error).__name__}: {error}")
        try:
            pickled = [bytes(part) for part in pack_home(error)]
        except Exception:
            pickled = []  # the text has to do
        self._send(Kind.ERROR, pack_home((pickled, f"{type(error).__name__}: {error}", trace)))

    def _send(self, kind: Kind, parts: Any) -> None:
        with self._sending:
            send(self._sock, frame(kind, parts))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _is_async(stream: Any) -> bool:
    return hasattr(stream, "__anext__")


def _nothing(_: Any) -> Any:
    raise StepError("no function was loaded")
