"""The workloads of flows.py in storey: run by it with another environment's python.

Reads the name of a workload a line and answers each with a line of JSON: ``{"rate": ...}`` or ``{"reason": ...}``.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import flow_work as work
import storey


class Left(storey.Choice):
    """Chooses the first of two steps."""

    def select_outlets(self, event):
        """Return its name."""
        return ["left"]


def answered(loop: asyncio.AbstractEventLoop, build: Callable[[Any], None], start: int) -> Callable[[], float]:
    """Return what measures a flow between a source and the answer to the one who emitted."""

    async def run() -> Any:
        source = storey.AsyncEmitSource()
        build(source)
        return source.run()

    controller = loop.run_until_complete(run())
    loop.run_until_complete(work.answered(controller.emit, start))
    return lambda: work.rate(loop, lambda count: work.answered(controller.emit, count), start)


def chain(*steps: Callable[[], Any]) -> Callable[[Any], None]:
    """Return what links steps one after the other."""

    def build(source: Any) -> None:
        for step in steps:
            source = source.to(step())
        source.to(storey.Complete())

    return build


def fork(source: Any) -> None:
    """Let two steps follow, and one more follow both."""
    end = storey.Complete()
    for name in ("left", "right"):
        source.to(storey.Map(work.add, name=name)).to(end)


def choice(source: Any) -> None:
    """Choose one of two steps."""
    chosen = source.to(Left())
    for name in ("left", "right"):
        chosen.to(storey.Map(work.add, name=name)).to(storey.Complete())


def batch(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what measures a Batch of ten, from the first event until all batches are through."""

    async def spend(count: int) -> float:
        source = storey.AsyncEmitSource()
        source.to(storey.Batch(10, full_event=False)).to(storey.Reduce(0, lambda total, body: total + len(body)))
        controller = source.run()
        begun = perf_counter()
        for number in range(count):
            await controller.emit(number)
        await controller.terminate()
        assert await controller.await_termination() == count
        return perf_counter() - begun

    return lambda: work.rate(loop, spend, 1000)


def concurrent(loop: asyncio.AbstractEventLoop, function: Any, mechanism: str, limit: int, start: int) -> Any:
    """Return what measures a ConcurrentExecution."""
    step = storey.ConcurrentExecution
    return answered(loop, chain(lambda: step(function, concurrency_mechanism=mechanism, max_in_flight=limit)), start)


def measures(loop: asyncio.AbstractEventLoop) -> dict[str, Callable[[], Callable[[], float]]]:
    """Return what prepares each workload."""
    maps = {
        f"maps {count}": lambda count=count: answered(
            loop, chain(*[lambda each=each: storey.Map(work.add, name=f"add{each}") for each in range(count)]), 1000
        )
        for count in (1, 3, 10)
    }
    return {
        **maps,
        "batch": lambda: batch(loop),
        "choice": lambda: answered(loop, choice, 1000),
        "fork": lambda: answered(loop, fork, 1000),
        "asyncio": lambda: concurrent(loop, work.add_soon, "asyncio", 8, 1000),
        "threading": lambda: concurrent(loop, work.add, "threading", 8, 1000),
        "multiprocessing": lambda: concurrent(loop, work.add, "multiprocessing", work.PROCESSES, 500),
        "waiting": lambda: concurrent(loop, work.wait, "asyncio", work.LANES, 500),
        "computing": lambda: concurrent(loop, work.compute, "multiprocessing", work.PROCESSES, 100),
    }


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what storey prints must not come between the answers
    loop = asyncio.new_event_loop()
    prepare, ready = measures(loop), {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready[name] = prepare[name]()
            answer: dict[str, float | str] = {"rate": ready[name]()}
        except Exception as error:
            answer = {"reason": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    for process in multiprocessing.active_children():  # its pools are never closed
        process.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
