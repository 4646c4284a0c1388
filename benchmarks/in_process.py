"""What a graph costs in one process, beside plain calls and beside MLRun and storey where they are installed.

Every workload is measured once a round, all of them in turn, so that a busy moment hits all alike; shown are medians.
``BENCH_PEERS`` names the python of an environment with MLRun in it. Nothing is asserted.
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

import measure
from rich.console import Console
from rich.progress import track
from rich.table import Table

import servegraph
from servegraph.events import Event
from servegraph.serving import V2ModelServer

ROUNDS = 7
PEER_IMPORTS = 3  # they take seconds each
STEPS = (1, 3, 10)
HERE = Path(__file__).parent


def add(body):
    """The trivial step."""
    return body + 1


class Echo(V2ModelServer):
    """The trivial model."""

    def load(self):
        """Have nothing to load."""

    def predict(self, request):
        """Return the inputs."""
        return request["inputs"]


@dataclass
class Row:
    """One workload: how it is measured, in microseconds, by plain Python, by servegraph and by peers."""

    name: str
    aim: float | None
    plain: Callable[[], float] | None
    ours: Callable[[], float]
    peers: tuple[str, ...] = ()
    unit: str = "us"
    measured: dict[str, list[float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def chain(engine: str, steps: int) -> servegraph.ServingFunction:
    """Return a function with a chain of trivial steps."""
    function = servegraph.new_function("chain", kind="serving")
    step = function.set_topology("flow", engine=engine)
    for number in range(steps):
        step = step.to(name=f"add{number}", handler=add)
    step.respond()
    return function


def plain_calls(steps: int) -> Callable[[], float]:
    """Return what measures the same work without any graph."""
    handlers = [add] * steps

    def call() -> None:
        body = 1
        for handler in handlers:
            body = handler(body)

    return lambda: measure.calls(call)


def sync_flow(steps: int) -> Row:
    """A sync flow through the mock server, as a test asks it."""
    server = chain("sync", steps).to_mock_server()
    call = measure.warm(lambda: server.test(body=1))
    peers = (f"MLRun sync {steps}",)
    return Row(f"sync flow, {steps} steps", 2 + 0.3 * steps, plain_calls(steps), lambda: measure.calls(call), peers)


def async_flow(loop: asyncio.AbstractEventLoop, steps: int) -> Row:
    """An async chain, by awaiting ``handle`` in the loop it runs in, as the HTTP door does."""
    server = chain("async", steps).build_server()
    loop.run_until_complete(server.start())
    call = measure.warm_awaits(loop, lambda: server.handle(Event(1)))
    peers = (f"storey async {steps}", f"MLRun async {steps}")
    name = f"async chain, {steps} steps"
    return Row(name, 10 + steps, plain_calls(steps), lambda: measure.awaits(loop, call), peers)


def router() -> Row:
    """A router with one model, through the mock server."""
    function = servegraph.new_function("router", kind="serving")
    function.add_model("echo", class_name=Echo)
    server = function.to_mock_server()
    body = {"inputs": [1]}
    call = measure.warm(lambda: server.test("/v2/models/echo/infer", body))
    return Row("router to one model", 5, None, lambda: measure.calls(call), ("MLRun router",))


def import_time(package: str, python: str = sys.executable) -> float:
    """Return the milliseconds that importing a package takes in a new process."""
    program = f"from time import perf_counter as now; t = now(); import {package}; print((now() - t) * 1e3, flush=True)"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def imports() -> Row:
    """How long the import takes."""
    return Row("import", 150, lambda: import_time("json"), lambda: import_time("servegraph"), ("import",), "ms")


class Peers:
    """The other environment's process, asked one measurement at a time."""

    def __init__(self, python: str) -> None:
        """Start it, when there is such an environment."""
        self.python = python
        self.reason = "" if python else "BENCH_PEERS names no environment"
        self._process: subprocess.Popen[str] | None = None
        if python:
            try:
                self._process = subprocess.Popen(
                    [python, str(HERE / "peers.py")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except OSError as error:
                self.reason = str(error)

    def measure(self, row: Row, name: str) -> None:
        """Take one measurement of a peer, or the reason why there is none."""
        if self._process is None or self._process.poll() is not None:
            row.reasons[name] = self.reason or "its process ended"
            return
        if name == "import":
            for package in ("mlrun", "storey"):
                if len(row.measured.get(f"{package} import", ())) == PEER_IMPORTS:
                    return
                row.measured.setdefault(f"{package} import", []).append(import_time(package, self.python))
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        print(name, file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"reason": "its process ended"}')
        if "us" in answer:
            row.measured.setdefault(name, []).append(answer["us"])
        else:
            row.reasons[name] = answer["reason"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()


def show(rows: list[Row], console: Console) -> None:
    """Print one line for each workload."""
    table = Table(title=f"medians of {ROUNDS} interleaved rounds; (x) is how many times servegraph's figure")
    for column in ("workload", "plain Python", "aim", "servegraph", "peers"):
        table.add_column(column, justify="left" if column in ("workload", "peers") else "right")
    for row in rows:
        middle = {name: statistics.median(figures) for name, figures in row.measured.items()}
        ours = middle.pop("servegraph")
        plain = middle.pop("plain", None)
        peers = [f"{name} {figure:.1f} ({figure / ours:.1f}x)" for name, figure in middle.items()]
        peers += [f"{name}: {reason}" for name, reason in row.reasons.items()]
        table.add_row(
            row.name,
            "" if plain is None else f"{plain:.2f} {row.unit}",
            "" if row.aim is None else f"{row.aim:.1f}",
            f"{ours:.2f} {row.unit}",
            "\n".join(peers),
        )
    console.print(table)


def main() -> None:
    """Measure and print."""
    console = Console(width=None if sys.stdout.isatty() else 130)
    loop = asyncio.new_event_loop()
    peers = Peers(os.environ.get("BENCH_PEERS", ""))
    rows = [*map(sync_flow, STEPS), *(async_flow(loop, steps) for steps in STEPS), router(), imports()]
    for _ in track(range(ROUNDS), "measuring", console=console, transient=True):
        for row in rows:
            row.measured.setdefault("servegraph", []).append(row.ours())
            if row.plain is not None:
                row.measured.setdefault("plain", []).append(row.plain())
            for name in row.peers:
                peers.measure(row, name)
    peers.close()
    show(rows, console)


if __name__ == "__main__":
    main()
