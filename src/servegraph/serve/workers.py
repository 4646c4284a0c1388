"""Several worker processes on one port: started, watched, restarted, reloaded and told of changes by a supervisor.

The supervisor owns the listening socket and hands it to every worker, so that a connection that waits belongs to none
of them: a worker that dies loses only what it was answering, and new workers take over before old ones leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import watchfiles

from servegraph.serve.control import Change, Channel, Failure
from servegraph.serve.sockets import address_of, bind, take_no_more

_LONGEST_BACKOFF = 10.0
# A worker that lived this long was well; its death counts as its first.
_WELL_AFTER = 10.0
_WATCHED = (".py", ".ipynb", ".yaml", ".yml", ".json")


def run_workers(
    command: Sequence[str],
    workers: int,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    watch: Sequence[str | Path] = (),
    ready: Callable[[str], None] | None = None,
    report: Callable[[str], None] | None = None,
    stop_timeout: float = 60.0,
) -> int:
    """Run a command as that many workers until SIGTERM or SIGINT; return the exit code.

    Each worker gets the options ``--fd N --control-fd N --worker-id N`` added, and hands the first two to ``http.run``.
    ``ready`` is called with the address once all are ready. With ``watch``, a change in one of these files or folders
    starts new workers before the old ones drain; a change that does not start leaves the old ones serving. ``report``
    gets one sentence for each thing that happens. A worker that has not ended after ``stop_timeout`` seconds is killed.
    """
    with contextlib.closing(bind(host, port)) as sock:
        supervisor = Supervisor(command, workers, sock, report or _to_stderr, stop_timeout)
        return asyncio.run(supervisor.run(ready, [Path(path) for path in watch]))


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


class Worker:
    """One worker process as its supervisor sees it."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        """Take the process and the line to it."""
        self.slot = slot
        self.process = process
        self.channel = channel
        self.born = time.monotonic()
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.pending: dict[int, asyncio.Future[Failure | None]] = {}

    def signal(self, number: int) -> None:
        """Send the process a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def do(self, number: int, change: Change) -> Failure | None:
        """Have a change carried out; one that dies over it has not failed, for the next in its slot catches up."""
        self.pending[number] = asyncio.get_running_loop().create_future()
        self.channel.send(do=number, change=change)
        return await self.pending[number]

    def ended(self) -> None:
        """Tell those who wait for it that it is gone."""
        if not self.ready.done():
            self.ready.set_result(False)
        for future in self.pending.values():
            if not future.done():
                future.set_result(None)
        self.channel.close()


class Supervisor:
    """Keeps a number of workers running on one socket."""

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        sock: socket.socket,
        report: Callable[[str], None],
        stop_timeout: float,
    ) -> None:
        """See ``run_workers``."""
        self._command = command
        self._count = workers
        self._sock = sock
        self._report = report
        self._stop_timeout = stop_timeout
        self._current: dict[int, Worker] = {}
        self._alive: set[Worker] = set()
        # Those that get changes: from the moment on in which they were told the earlier ones.
        self._members: set[Worker] = set()
        self._deaths: dict[int, int] = {}
        self._changes: dict[tuple[str, str], Change] = {}
        self._numbers = itertools.count()
        self._change_lock = asyncio.Lock()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._exit_code = 0

    async def run(self, ready: Callable[[str], None] | None, watch: Sequence[Path]) -> int:
        """Start the workers, keep them until told to stop, and stop them; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        self._begin(self._serve(ready, watch))
        await self._stop.wait()
        await self._end_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._exit_code

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._exit_code = 1
            for worker in self._alive:
                worker.signal(signal.SIGKILL)
        self._stop.set()

    async def _serve(self, ready: Callable[[str], None] | None, watch: Sequence[Path]) -> None:
        workers = await self._generation(self._current)
        if not workers:
            self._exit_code = self._exit_code or 1
            self._stop.set()
            return
        if ready is not None:
            ready(address_of(self._sock))
        if watch:
            await self._reload_on_change(watch)

    async def _generation(self, into: dict[int, Worker]) -> bool:
        """Start one worker for each slot; return whether all became ready.

        The first starts alone: what is wrong is then said once, and what it fetches is there for the others.
        """
        for slots in ([0], range(1, self._count)):
            for slot in slots:
                into[slot] = await self._spawn(slot)
            if not all(await asyncio.gather(*(into[slot].ready for slot in slots))):
                return False
        return True

    async def _spawn(self, slot: int) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            fds = (self._sock.fileno(), theirs.fileno())
            options = ("--fd", str(fds[0]), "--control-fd", str(fds[1]), "--worker-id", str(slot))
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then asks each once.
            process = await asyncio.create_subprocess_exec(
                *self._command, *options, pass_fds=fds, start_new_session=os.name == "posix"
            )
        worker = Worker(slot, process, await Channel.open(ours))
        self._alive.add(worker)
        self._begin(self._listen(worker))
        self._begin(self._watch_process(worker))
        return worker

    async def _watch_process(self, worker: Worker) -> None:
        code = await worker.process.wait()
        was_ready = worker.ready.done()
        self._alive.discard(worker)
        self._members.discard(worker)
        worker.ended()
        slot = worker.slot
        if self._stop.is_set() or self._current.get(slot) is not worker:
            return
        if not was_ready and slot not in self._deaths:
            self._exit_code = code if code > 0 else 1
            return
        lived = time.monotonic() - worker.born
        self._deaths[slot] = deaths = 1 if lived > _WELL_AFTER else self._deaths.get(slot, 0) + 1
        delay = 0.0 if deaths == 1 else min(0.1 * 2**deaths, _LONGEST_BACKOFF)
        self._report(f"worker {slot} ended ({_how(code)}); another starts{f' in {delay:g} s' if delay else ''}")
        await asyncio.sleep(delay)
        if not self._stop.is_set() and self._current[slot] is worker:
            self._current[slot] = await self._spawn(slot)

    async def _listen(self, worker: Worker) -> None:
        async for message in worker.channel.messages():
            if "hello" in message:
                async with self._change_lock:
                    worker.channel.send(replay=list(self._changes.values()))
                    self._members.add(worker)
            elif "ready" in message:
                worker.ready.set_result(True)
            elif "done" in message:
                worker.pending.pop(message["done"]).set_result(message["failure"])
            elif "ask" in message:
                self._begin(self._change_everywhere(worker, message["ask"], message["change"]))

    async def _change_everywhere(self, asker: Worker, ask: int, change: Change) -> None:
        async with self._change_lock:
            members = sorted(self._members, key=lambda each: each.slot)
            number = next(self._numbers)
            results = await asyncio.gather(*(member.do(number, change) for member in members))
            if change["action"] != "reload" and not all(results):
                self._changes[change["router"], change["name"]] = change
        everywhere = all(results)
        failures = [
            {**failure, "worker": member.slot, "everywhere": everywhere}
            for member, failure in zip(members, results, strict=True)
            if failure is not None
        ]
        asker.channel.send(answer=ask, failures=failures)

    async def _reload_on_change(self, watch: Sequence[Path]) -> None:
        async for changes in watchfiles.awatch(*watch, watch_filter=_is_source, stop_event=self._stop):
            names = ", ".join(sorted({Path(path).name for _, path in changes}))
            self._report(f"{names} changed: starting anew")
            candidates: dict[int, Worker] = {}
            if await self._generation(candidates):
                old, self._current = self._current, candidates
                leaving = signal.SIGTERM
                self._report("the change is in force")
            else:
                old = candidates
                leaving = signal.SIGKILL
                self._report("the change does not start; what ran before goes on")
            for worker in old.values():
                worker.signal(leaving)

    async def _end_all(self) -> None:
        take_no_more(self._sock)
        for worker in self._alive:
            worker.signal(signal.SIGTERM)
        alive = list(self._alive)
        if not alive:
            return
        waits = [asyncio.ensure_future(worker.process.wait()) for worker in alive]
        _, late = await asyncio.wait(waits, timeout=self._stop_timeout)
        if late:
            self._report(f"{len(late)} workers did not end within {self._stop_timeout:g} s and are killed")
            self._exit_code = 1
            for worker in alive:
                worker.signal(signal.SIGKILL)
            await asyncio.wait(waits)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_source(_: watchfiles.Change, path: str) -> bool:
    return path.endswith(_WATCHED) and "__pycache__" not in path


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
