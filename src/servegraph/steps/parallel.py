"""ParallelExecution: one event given to several runnables at once, each in threads, processes or on the event loop."""

from __future__ import annotations

import asyncio
import datetime
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Unpack

from servegraph.bodies import copy_body
from servegraph.errors import StepError, nearest
from servegraph.events import DROP, Event
from servegraph.pools.processes import ProcessStep, cores
from servegraph.pools.threads import shared_threads
from servegraph.steps.base import Options, StepBase

MECHANISMS: Final = ("process_pool", "dedicated_process", "thread_pool", "asyncio", "naive")
_IN_PROCESSES: Final = ("process_pool", "dedicated_process")


class ParallelExecutionRunnable:
    """The base of what ParallelExecution runs: override ``run``, or ``run_async`` for the asyncio mechanism.

    ``raise_exception=False`` makes ``{"error": "<Type>: <message>"}`` of an exception.
    """

    def __init__(self, name: str, raise_exception: bool = True) -> None:
        """Name it: by its name it is chosen, and its result is found."""
        self.name = name
        self.raise_exception = raise_exception

    def init(self) -> None:
        """Load what ``run`` needs; called once, before it is carried to any process."""

    def run(self, body: Any, path: str, origin_name: str | None = None) -> Any:
        """Return the result for a body; a generator streams."""
        raise NotImplementedError(f"{type(self).__name__} must define run(self, body, path, origin_name=None)")

    async def run_async(self, body: Any, path: str, origin_name: str | None = None) -> Any:
        """Return the result for a body; must await what takes long."""
        raise NotImplementedError(f"{type(self).__name__} must define run_async(self, body, path, origin_name=None)")


@dataclass(slots=True)
class _Done:
    """What one runnable made of a body, since when and how long it took."""

    result: Any
    when: str
    microsec: int

    @property
    def metadata(self) -> dict[str, Any]:
        return {"microsec": self.microsec, "when": self.when}


class ParallelExecution(StepBase):
    """Gives each event to all runnables (or to those that ``select_runnables`` names) at once.

    With one runnable its result is the body, with several the body is ``{name: result}``. ``event._metadata`` tells
    when each began (``when``, UTC) and how long it took (``microsec``, integer microseconds). A body that is a list of
    events is given as the list of their bodies, and a list as long is dealt out to them by position. A runnable that
    yields streams, if it is the only one selected.
    """

    calls_may_overlap = True

    def __init__(
        self,
        runnables: Sequence[ParallelExecutionRunnable],
        execution_mechanism_by_runnable_name: Mapping[str, str],
        max_processes: int | None = None,
        max_threads: int | None = None,
        pool_factor: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the runnables and how each runs: one of MECHANISMS.

        The pools hold ``pool_factor`` (1 by default) workers for each runnable that uses them, at most
        ``max_processes`` (the number of cores by default) and ``max_threads`` (32). Raises ValueError for no runnable,
        two of a name, or a mechanism that is missing or unknown.
        """
        super().__init__(**options)
        self._runnables = {each.name: each for each in runnables}
        self._mechanisms = {name: execution_mechanism_by_runnable_name.get(name, "") for name in self._runnables}
        _check([each.name for each in runnables], self._mechanisms)
        pooled = [each for name, each in self._runnables.items() if self._mechanisms[name] == "process_pool"]
        factor = 1 if pool_factor is None else pool_factor
        self._processes: dict[str, ProcessStep] = {}
        if pooled:
            shared = ProcessStep(_Runs(pooled), min(len(pooled) * factor, max_processes or cores()), self.name)
            self._processes |= {each.name: shared for each in pooled}
        threads = sum(each == "thread_pool" for each in self._mechanisms.values())
        self._threads = asyncio.Semaphore(max(1, min(threads * factor, max_threads or 32)))
        for name, mechanism in self._mechanisms.items():
            if mechanism == "dedicated_process":
                self._processes[name] = ProcessStep(_Runs([self._runnables[name]]), 1, self.name)

    def preprocess_event(self, event: Event) -> Event:
        """Return the event that the runnables get; override it to change the event first."""
        return event

    def select_runnables(self, event: Event) -> Sequence[str | ParallelExecutionRunnable] | None:
        """Return the runnables (or their names) for an event, ``None`` for all; with none the event is dropped."""
        return None

    def post_init(self, mode: str = "sync") -> None:
        """Let every runnable load, and start the processes."""
        for runnable in self._runnables.values():
            runnable.init()
        for pool in dict.fromkeys(self._processes.values()):
            pool.start()

    def close(self) -> None:
        """Let the processes go."""
        for pool in dict.fromkeys(self._processes.values()):
            pool.close()

    async def do_event(self, event: Event) -> Any:
        """Return the event with the results of the runnables."""
        event = self.preprocess_event(event)
        names = self._selected(event)
        if not names:
            return DROP
        batch = _events(event.body)
        body = event.body if batch is None else [each.body for each in batch]
        calls = [self._timed(name, self._own(name, body, name is names[-1]), event.path) for name in names]
        done = dict(zip(names, await asyncio.gather(*calls), strict=True))
        for each in done.values():
            if inspect.isgenerator(each.result) or inspect.isasyncgen(each.result):
                if len(names) > 1:
                    raise StepError(f"only a single runnable can stream; selected were {', '.join(names)}")
                return _streamed(event, each.result)
        if batch is not None:
            event.body = [self._filled(each.copy(), done, place, len(batch)) for place, each in enumerate(batch)]
            return event
        return self._filled(event, done)

    def _selected(self, event: Event) -> list[str]:
        selected = self.select_runnables(event)
        if selected is None:
            return list(self._runnables)
        if isinstance(selected, str) or not isinstance(selected, Sequence):
            raise TypeError(f"select_runnables must return a list of names, not {type(selected).__name__}")
        names = [each.name if isinstance(each, ParallelExecutionRunnable) else each for each in selected]
        for name in names:
            if name not in self._runnables:
                known = ", ".join(self._runnables)
                hint = nearest(str(name), self._runnables)
                raise ValueError(f"select_runnables chose '{name}', the runnables are: {known}{hint}")
        if len(set(names)) != len(names):
            raise ValueError(f"select_runnables chose a runnable twice: {', '.join(names)}")
        return names

    def _own(self, name: str, body: Any, last: bool) -> Any:
        # Another process gets a copy anyway, and the body itself has no further use.
        return body if last or self._mechanisms[name] in _IN_PROCESSES else copy_body(body)

    async def _timed(self, name: str, body: Any, path: str) -> _Done:
        when = datetime.datetime.now(datetime.UTC).isoformat(" ", "microseconds")
        began = perf_counter()
        try:
            result = await self._run(name, body, path)
        except Exception as error:
            if self._runnables[name].raise_exception:
                raise
            result = {"error": f"{type(error).__name__}: {error}"}
        return _Done(result, when, round((perf_counter() - began) * 1e6))

    async def _run(self, name: str, body: Any, path: str) -> Any:
        runnable, mechanism = self._runnables[name], self._mechanisms[name]
        if mechanism in _IN_PROCESSES:
            return await self._processes[name]((name, body, path))
        if mechanism == "thread_pool":
            async with self._threads:
                return await shared_threads().run(runnable.run, body, path, name)
        if mechanism == "naive":
            return runnable.run(body, path, name)
        result = runnable.run_async(body, path, name)
        return await result if inspect.isawaitable(result) else result

    def _filled(self, event: Event, done: Mapping[str, _Done], place: int = 0, places: int = 0) -> Event:
        """Put the results into an event: its share of them where it is one of several."""
        bodies = {name: _share(each.result, place, places) for name, each in done.items()}
        metadata: Any = {name: each.metadata for name, each in done.items()}
        if len(self._runnables) == 1:
            (event.body,), (metadata,) = bodies.values(), metadata.values()
        else:
            event.body = bodies
        vars(event)["_metadata"] = {**vars(event).get("_metadata", {}), **metadata}
        return event


class _Runs:
    """What a process is for: the runnables that it may be asked to run, by name."""

    def __init__(self, runnables: Sequence[ParallelExecutionRunnable]) -> None:
        self._runnables = {each.name: each for each in runnables}

    def __call__(self, asked: tuple[str, Any, str]) -> Any:
        name, body, path = asked
        return self._runnables[name].run(body, path, name)


def _check(names: list[str], mechanisms: Mapping[str, str]) -> None:
    if not names:
        raise ValueError("ParallelExecution needs at least one runnable")
    if len(set(names)) != len(names):
        raise ValueError(f"two runnables have the same name: {', '.join(names)}")
    for name, mechanism in mechanisms.items():
        if mechanism not in MECHANISMS:
            told = f"has the mechanism '{mechanism}'" if mechanism else "has no mechanism"
            hint = nearest(mechanism, MECHANISMS)
            raise ValueError(f"runnable '{name}' {told}: give one of {', '.join(MECHANISMS)}{hint}")


def _events(body: Any) -> list[Event] | None:
    return body if isinstance(body, list) and body and all(isinstance(each, Event) for each in body) else None


def _share(result: Any, place: int, places: int) -> Any:
    if not places:
        return result
    return result[place] if isinstance(result, list) and len(result) == places else copy_body(result)


async def _streamed(event: Event, stream: Any) -> AsyncIterator[Event]:
    """Yield an event for each chunk; a sync generator works in a thread."""
    try:
        if inspect.isasyncgen(stream):
            async for chunk in stream:
                yield event.branch(chunk)
        else:
            while (chunk := await shared_threads().run(next, stream, _END)) is not _END:
                yield event.branch(chunk)
    finally:
        if inspect.isasyncgen(stream):
            await stream.aclose()
        else:
            stream.close()


_END: Final = object()
