"""What a graph costs over HTTP, beside bare ASGI servers that do the same JSON work and nothing else.

All servers run at once, one process each, on the first core; the load comes from the others and takes them in turns, so
that a busy moment hits all alike. Shown are medians, the ratio to bare uvicorn, and the processor time that a server's
process spent on a request, which a busy machine changes least. Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import load
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = 2.0
CONNECTIONS = (1, 16, 64)
BODY = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
BARE = "bare uvicorn"
HERE = Path(__file__)


def add_up(body):
    """The trivial work."""
    return {"outputs": [sum(row) for row in body["inputs"]]}


def predictor() -> Callable:
    """Return the work of a real model: logistic regression on the iris data."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))

    def predict(body):
        return {"outputs": model.predict(body["inputs"]).tolist()}

    return predict


WORK = {"trivial": lambda: add_up, "logistic regression": predictor}


def function_of(work: Callable):
    """Return a serving function of one step."""
    import servegraph

    fn = servegraph.new_function("benchmark", kind="serving")
    fn.set_topology("flow", engine="async").to(name="work", handler=work).respond()
    return fn


def bare_app(work: Callable) -> Callable:
    """Return an ASGI app that does the work and nothing else."""
    import orjson

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        answer = orjson.dumps(work(orjson.loads(body)) if body else None)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def serve_ours(work: Callable, port: int) -> None:
    """Serve a graph as ``servegraph serve`` does."""
    function_of(work).serve(port=port)


def under_uvicorn(app: Callable, port: int) -> None:
    """Serve an ASGI app with uvicorn."""
    import uvicorn

    uvicorn.run(app, port=port, access_log=False, log_level="error")


def under_granian(app: Callable, port: int) -> None:
    """Serve an ASGI app with granian."""
    import asyncio

    from granian.server.embed import Server

    asyncio.run(Server(app, address="127.0.0.1", port=port, interface="asgi", log_enabled=False).serve())


def under_hypercorn(app: Callable, port: int) -> None:
    """Serve an ASGI app with hypercorn."""
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    asyncio.run(serve(app, config))


# What serves, and the package that it needs besides servegraph's own.
SERVERS: dict[str, tuple[Callable[[Callable, int], None], str]] = {
    BARE: (lambda work, port: under_uvicorn(bare_app(work), port), ""),
    "bare granian": (lambda work, port: under_granian(bare_app(work), port), "granian"),
    "bare hypercorn": (lambda work, port: under_hypercorn(bare_app(work), port), "hypercorn"),
    "graph, servegraph serve": (serve_ours, ""),
    "graph, asgi under uvicorn": (lambda work, port: under_uvicorn(function_of(work).asgi(), port), ""),
}


@contextlib.contextmanager
def running(server: str, work: str, port: int) -> Iterator[tuple[str, int]]:
    """Run one of the servers in a process of its own; gives its URL and process id once it answers."""
    url = f"http://127.0.0.1:{port}/"
    request = urllib.request.Request(url, BODY, {"content-type": "application/json"})
    with subprocess.Popen([sys.executable, str(HERE), server, work, str(port)]) as process:
        try:
            until = time.monotonic() + 30
            while True:
                try:
                    urllib.request.urlopen(request).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        raise RuntimeError(f"'{server}' did not start") from None
                    time.sleep(0.05)
            yield url, process.pid
        finally:
            process.terminate()


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used; NaN where the system does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


Results = dict[tuple[str, int], list[tuple[load.Measured, float]]]


def measure(work: str, reasons: dict[str, str]) -> Results:
    """Measure every server with a kind of work, round by round."""
    measured: Results = {}
    with contextlib.ExitStack() as stack:
        urls = {}
        for number, (server, (_, package)) in enumerate(SERVERS.items()):
            if package and importlib.util.find_spec(package) is None:
                reasons[server] = f"{package} is not installed"
                continue
            try:
                urls[server] = stack.enter_context(running(server, work, 9500 + number))
            except RuntimeError as error:
                reasons[server] = str(error)
        with Progress(transient=True) as progress:
            task = progress.add_task(work, total=ROUNDS * len(CONNECTIONS) * len(urls))
            for _ in range(ROUNDS):
                for connections in CONNECTIONS:
                    for server, (url, pid) in urls.items():
                        before = processor_time(pid)
                        result = load.post(url, BODY, connections, SECONDS)
                        spent = (processor_time(pid) - before) / (result.rate * SECONDS)
                        measured.setdefault((server, connections), []).append((result, spent * 1e6))
                        progress.advance(task)
    return measured


def show(work: str, measured: Results, reasons: dict[str, str]) -> None:
    """Print one table."""
    table = Table(title=f"{work}, requests a second (x {BARE}); {ROUNDS} rounds, load by {load.generator()}")
    table.add_column("server", no_wrap=True)
    for connections in CONNECTIONS:
        table.add_column(f"c = {connections}", justify="right", no_wrap=True)
    for title in ("processor us", "p50 us", "p99 us", "failed"):
        table.add_column(title, justify="right", no_wrap=True)
    for server in SERVERS:
        if server in reasons:
            table.add_row(server, reasons[server])
        else:
            table.add_row(server, *cells(measured, server))
    Console(width=130).print(table)


def cells(measured: Results, server: str) -> Iterator[str]:
    """Yield what the table says of one server."""
    for connections in CONNECTIONS:
        rates = [result.rate for result, _ in measured[server, connections]]
        bare = [result.rate for result, _ in measured[BARE, connections]]
        ratio = statistics.median(rate / base for rate, base in zip(rates, bare, strict=True))
        yield f"{statistics.median(rates):,.0f} ({ratio:.2f})"
    crowd, alone = measured[server, CONNECTIONS[-1]], measured[server, CONNECTIONS[0]]
    yield f"{statistics.median(spent for _, spent in crowd):.0f}"
    yield f"{statistics.median(result.p50 for result, _ in alone):.0f}"
    yield f"{statistics.median(result.p99 for result, _ in alone):.0f}"
    yield str(sum(result.failed for result, _ in crowd + alone))


def main() -> None:
    """Be one of the servers, or measure them all."""
    cores = range(os.cpu_count() or 1) if hasattr(os, "sched_setaffinity") else range(1)
    if len(sys.argv) > 1:
        server, work, port = sys.argv[1:]
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[:1])
        SERVERS[server][0](WORK[work](), int(port))
        return
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])
    for work in WORK:
        reasons: dict[str, str] = {}
        show(work, measure(work, reasons), reasons)


if __name__ == "__main__":
    main()
