"""One worker process as its parent sees it: started, loaded once, asked on an event loop, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from servegraph.errors import StepError
from servegraph.pools.messages import Buffer, Kind, Message, frame, messages, send
from servegraph.pools.pickles import pack, unpack
from servegraph.pools.threads import shared_threads

LEAVE_GRACE: Final = 2.0
"""Seconds that a worker has to end by itself before it is killed."""

# The user's program is not run again: the worker starts from nothing but the places where modules are found.
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from servegraph.pools.worker import main; main(int(sys.argv[1]))"
)
_FINAL: Final = frozenset({Kind.RESULT, Kind.END, Kind.ERROR})


class WorkerDied(StepError):
    """The process that worked on an event is gone: crashed, killed, or ended by the step itself."""


class WorkerProcess:
    """A process that answers one question at a time; ``start`` and ``end`` block, everything else runs on a loop."""

    def __init__(self) -> None:
        """Start the process, which loads nothing yet."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), json.dumps(sys.path)]
        with theirs:
            # In a group of its own, because Ctrl-C is for the server, which lets its workers go when it is done.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], process_group=0
            )
        self._sock = ours
        self._messages = messages(ours)
        self._outgoing: deque[memoryview] = deque()
        self._writing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answer: asyncio.Future[Message] | None = None
        self._kill: asyncio.TimerHandle | None = None
        self.on_free: Callable[[WorkerProcess], None] = _nobody
        self.on_death: Callable[[WorkerProcess], None] = _nobody

    @property
    def is_busy(self) -> bool:
        """Whether it still works on what it was asked."""
        return self._answer is not None

    def load(self, function: Sequence[Buffer]) -> None:
        """Send the function it is for; ``wait`` returns when it is there."""
        levels = {name: each.level for name, each in logging.root.manager.loggerDict.items()
                  if isinstance(each, logging.Logger) and each.level}  # fmt: skip
        with contextlib.suppress(ConnectionError):  # waiting tells what became of it
            send(self._sock, frame(Kind.SETUP, pack(({"": logging.root.level, **levels}, sys.argv))))
            send(self._sock, frame(Kind.LOAD, function))

    def wait(self) -> None:
        """Wait until the function is loaded; raises what loading it raised, WorkerDied."""
        for message in filter(None, self._messages):
            if message.kind == Kind.LOG:
                _log(message)
            elif message.kind == Kind.ERROR:
                raise failure(message)
            else:
                self._sock.setblocking(False)
                return
        raise WorkerDied(f"its worker process {self._fate()} before it was ready")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer on a loop from now on."""
        self._loop = loop
        loop.add_reader(self._sock, self._readable)

    def detach(self) -> None:
        """Answer no more; who still waits is told that the worker is gone."""
        if self._loop is not None:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._loop = None
        self._forget_kill()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WorkerDied("its worker process was ended: the server stops"))

    def ask(self, kind: Kind, parts: Sequence[Buffer] = (b"",)) -> asyncio.Future[Message]:
        """Send a question and return the future of its answer; the large buffers must not change until then."""
        assert self._loop is not None
        self._answer = self._loop.create_future()
        self._send(frame(kind, parts))
        return self._answer

    def abandon(self, answer: asyncio.Future[Message], grace: float) -> None:
        """Have no use for an answer any more: the worker finishes within so many seconds, or it is killed."""
        if self._answer is answer and self._loop is not None:
            self._send(frame(Kind.STOP))
            self._kill = self._loop.call_later(grace, self._process.kill)

    def leave(self) -> None:
        """Say that nothing more will be asked; the process ends when it is done with what it does."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def end(self, grace: float = LEAVE_GRACE) -> None:
        """Wait until the process has ended, and kill it if that takes longer."""
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._sock.close()

    def forget(self) -> None:
        """Let it leave by itself, without waiting; what is left of it is cleared away from a thread."""
        self.leave()
        with contextlib.suppress(RuntimeError):  # no thread starts any more while the interpreter ends
            threading.Thread(target=self._clear, daemon=True).start()

    def _clear(self) -> None:
        self._process.wait()
        if self._loop is None or self._loop.is_closed():  # else its reader sees the end, and closes
            self._sock.close()

    def _send(self, pieces: Sequence[Buffer]) -> None:
        self._outgoing.extend(memoryview(piece).cast("B") for piece in pieces)
        if not self._writing:
            self._write()

    def _write(self) -> None:
        assert self._loop is not None
        while self._outgoing:
            piece = self._outgoing[0]
            try:
                sent = self._sock.send(piece)
            except BlockingIOError:
                sent = 0
            except OSError:  # it is gone, as reading will tell
                self._outgoing.clear()
                break
            if sent < len(piece):
                self._outgoing[0] = piece[sent:]
                if not self._writing:
                    self._writing = True
                    self._loop.add_writer(self._sock, self._write)
                return
            self._outgoing.popleft()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        message = next(self._messages, _GONE)
        if message is None:
            return
        if message is _GONE:
            self._lost()
        elif message.kind == Kind.LOG:
            _log(message)
        else:
            answer = self._answer
            if message.kind in _FINAL:
                self._answer = None
                self._forget_kill()
                self.on_free(self)
            if answer is not None and not answer.done():
                answer.set_result(message)

    def _lost(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._forget_kill()
        self._sock.close()
        shared_threads().run(self._fate).add_done_callback(self._mourn)

    def _mourn(self, fate: asyncio.Future[str]) -> None:
        self.on_death(self)
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(WorkerDied(f"its worker process {fate.result()} while it worked on this event"))

    def _fate(self) -> str:
        """Return what became of a process that has closed its end of the line."""
        try:
            code = self._process.wait(LEAVE_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was killed by {signal.Signals(-code).name}"

    def _forget_kill(self) -> None:
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None


_GONE: Final = Message(0, ())


def failure(message: Message) -> Exception:
    """Return what a worker raised: of its own type where that can travel, else a StepError with its text."""
    pickled, text, trace = unpack(message.parts)
    try:
        error = unpack(pickled) if pickled else None
    except Exception:
        error = None
    if not isinstance(error, Exception):
        error = StepError(text)
    error.add_note(f"raised in a worker process:\n{trace}")
    return error


def _log(message: Message) -> None:
    record = logging.makeLogRecord(unpack(message.parts))
    logging.getLogger(record.name).handle(record)


def _nobody(_: Any) -> None:
    """Stand for a pool that has gone."""
