"""How many events a second go through a flow in one loop, beside storey where it is installed.

Every workload is measured once a round, servegraph and storey in turns; shown are medians. ``BENCH_STOREY`` names the
python of an environment with storey in it. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import flow_work as work
from rich.console import Console
from rich.progress import track
from rich.table import Table

import servegraph
from servegraph import storey
from servegraph.events import Event

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
HERE = Path(__file__).parent
NO_JOIN = "storey has no step that joins the parts of an event"


class Left(storey.Choice):
    """Chooses the first of two steps."""

    def select_outlets(self, body):
        """Return its name."""
        return "left"


@dataclass
class Row:
    """One workload: how it is measured here, its name in flow_peer.py, and what is to be reached."""

    name: str
    ours: Flow
    peer: str
    aim: str = ""
    ideal: Callable[[], float] | None = None
    measured: dict[str, list[float]] = field(default_factory=dict)
    reason: str = ""


class Flow:
    """A served flow whose rate is measured with all callers waiting for their answers."""

    def __init__(self, build: Callable[[servegraph.ServingFunction], None], start: int = 1000) -> None:
        """Serve it and warm it up; a measurement begins with ``start`` events."""
        function = servegraph.new_function("flow", kind="serving")
        build(function)
        self.loop, self.server, self.start = asyncio.new_event_loop(), function.build_server(), start
        self.loop.run_until_complete(self.server.start())
        self.loop.run_until_complete(self.spend(start))

    def __call__(self) -> float:
        """Return events per second."""
        return work.rate(self.loop, self.spend, self.start)

    async def spend(self, count: int) -> float:
        """Return the seconds that so many events take."""
        spent = await work.answered(self.ask, count)
        await self.server.wait_for_completion()
        return spent

    async def ask(self, body: int) -> None:
        """Wait for an answer."""
        assert (await self.server.handle(Event(body))).status_code == 200

    def close(self) -> None:
        """Let the workers go."""
        self.loop.run_until_complete(self.server.stop())
        self.loop.close()


class Batches(Flow):
    """A flow that is measured from its first event until all batches are through."""

    def __init__(self) -> None:
        """Serve a Batch of ten whose callers do not wait for it."""
        self.counted: list[int] = []
        super().__init__(self.build)

    def build(self, function: servegraph.ServingFunction) -> None:
        """Count what comes out of a Batch."""
        function.set_topology("flow").to("storey.Batch", name="batch", max_events=10, full_event=False).to(
            name="count", handler=lambda bodies: self.counted.append(len(bodies))
        )

    async def spend(self, count: int) -> float:
        """Return the seconds that so many events take."""
        self.counted.clear()
        begun = perf_counter()
        for number in range(count):
            await self.server.handle(Event(number))
        await self.server.wait_for_completion()
        assert sum(self.counted) == count
        return perf_counter() - begun


def maps(count: int) -> Callable[[servegraph.ServingFunction], None]:
    """Return what builds a chain of so many steps."""

    def build(function: servegraph.ServingFunction) -> None:
        step = function.set_topology("flow")
        for number in range(count):
            step = step.to(storey.Map(work.add), name=f"add{number}")
        step.respond()

    return build


def choice(function: servegraph.ServingFunction) -> None:
    """Choose one of two steps."""
    graph = function.set_topology("flow")
    chosen = graph.to(Left(), name="choose")
    for name in ("left", "right"):
        chosen.to(storey.Map(work.add), name=name)
    graph.add_step("Gather", name="end", after=["left", "right"]).respond()


def fork(last: str) -> Callable[[servegraph.ServingFunction], None]:
    """Return what builds two steps side by side and one more that follows both."""

    def build(function: servegraph.ServingFunction) -> None:
        graph = function.set_topology("flow")
        for name in ("left", "right"):
            graph.to(storey.Map(work.add), name=name)
        graph.add_step(last, name="end", after=["left", "right"]).respond()

    return build


def concurrent(function: Callable, mechanism: str, limit: int, start: int) -> Flow:
    """Return what measures a ConcurrentExecution."""

    def build(serving: servegraph.ServingFunction) -> None:
        step = storey.ConcurrentExecution(function, mechanism, max_in_flight=limit)
        serving.set_topology("flow").to(step, name="concurrent").respond()

    return Flow(build, start)


def all_rows() -> list[Row]:
    """Return the workloads, prepared."""
    return [
        *[Row(f"{count} maps", Flow(maps(count)), f"maps {count}", "5x") for count in (1, 3, 10)],
        Row("Batch of 10", Batches(), "batch"),
        Row("Choice of 2", Flow(choice), "choice"),
        Row("fan-out to 2 steps, rejoined", Flow(fork("Gather")), "fork"),
        Row("fan-out to 2 steps, merged", Flow(fork("mlrun.serving.Merge")), "", "", None, {}, NO_JOIN),
        Row("asyncio, 8 in flight", concurrent(work.add_soon, "asyncio", 8, 1000), "asyncio"),
        Row("threading, 8 in flight", concurrent(work.add, "threading", 8, 1000), "threading"),
        Row("multiprocessing, 2 processes", concurrent(work.add, "multiprocessing", 2, 500), "multiprocessing"),
        Row("asyncio, 5 ms of waiting", concurrent(work.wait, "asyncio", work.LANES, 500), "waiting"),
        Row(
            "multiprocessing, 5 ms of CPU",
            concurrent(work.compute, "multiprocessing", work.PROCESSES, 100),
            "computing",
            "94% of ideal",
            work.ideal,
        ),
    ]


class Peer:
    """storey's process, asked one measurement at a time."""

    def __init__(self, python: str) -> None:
        """Start it, when there is such an environment."""
        self._reason = "" if python else "BENCH_STOREY names no environment"
        self._process: subprocess.Popen[str] | None = None
        if python:
            try:
                self._process = subprocess.Popen(
                    [python, str(HERE / "flow_peer.py")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except OSError as error:
                self._reason = str(error)

    def measure(self, row: Row) -> None:
        """Take one measurement, or the reason why there is none."""
        if self._process is None or self._process.poll() is not None:
            row.reason = self._reason or "its process ended"
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        print(row.peer, file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"reason": "its process ended"}')
        if "rate" in answer:
            row.measured.setdefault("storey", []).append(answer["rate"])
        else:
            row.reason = answer["reason"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()


def show(rows: list[Row], console: Console) -> None:
    """Print one line for each workload."""
    table = Table(title=f"events a second, medians of {ROUNDS} interleaved rounds, {work.LANES} callers at once")
    for column in ("workload", "aim", "ideal", "servegraph", "storey", "ratio"):
        table.add_column(column, justify="left" if column == "workload" else "right")
    for row in rows:
        middle = {name: statistics.median(figures) for name, figures in row.measured.items()}
        ours, ideal, theirs = middle["servegraph"], middle.get("ideal"), middle.get("storey")
        table.add_row(
            row.name,
            row.aim,
            "" if ideal is None else f"{ideal:,.0f} ({ours / ideal:.0%})",
            f"{ours:,.0f}",
            row.reason if theirs is None else f"{theirs:,.0f}",
            "" if theirs is None else f"{ours / theirs:.1f}x",
        )
    console.print(table)


def main() -> None:
    """Measure and print."""
    console = Console(width=None if sys.stdout.isatty() else 130)
    peer, rows = Peer(os.environ.get("BENCH_STOREY", "")), all_rows()
    for _ in track(range(ROUNDS), "measuring", console=console, transient=True):
        for row in rows:
            if row.ideal is not None:
                row.measured.setdefault("ideal", []).append(row.ideal())
            row.measured.setdefault("servegraph", []).append(row.ours())
            if row.peer:
                peer.measure(row)
    peer.close()
    for row in rows:
        row.ours.close()
    show(rows, console)


if __name__ == "__main__":
    main()
