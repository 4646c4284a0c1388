"""What the commands do; each returns the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from servegraph.cli.options import Settings
from servegraph.cli.target import Target, find_target, find_targets
from servegraph.engine.stream import Chunks
from servegraph.errors import Fault, GraphError, ServerError
from servegraph.function.call import request
from servegraph.function.topology import topology_of
from servegraph.serve.http import run
from servegraph.serve.mock import MockServer
from servegraph.wire.json import dumps


def serve(
    target: Target,
    text: str,
    settings: Settings,
    host: str | None,
    port: int | None,
    workers: int | None,
    reload: bool,
) -> int:
    """Serve from this process, or from several under a supervisor."""
    http = target.function.spec.http
    host, port, workers = host or http.host, http.port if port is None else port, workers or http.workers

    def ready(address: str) -> None:
        _say_ready(target, address, workers)

    if workers == 1 and not reload:
        return run(_builder(target, settings, 0), host, port, ready=ready)
    from servegraph.serve.workers import run_workers

    options = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
    command = [sys.executable, "-m", "servegraph", "serve", text, *options]
    watch = [target.file.resolve().parent] if reload else []
    return run_workers(command, workers, host, port, watch=watch, ready=ready)


def work(target: Target, settings: Settings, fd: int, control_fd: int | None, worker_id: int) -> int:
    """Serve as one of the workers of a supervisor."""
    return run(_builder(target, settings, worker_id), fd=fd, control_fd=control_fd)


def check(text: str, as_json: bool) -> int:
    """Print all faults of a target's functions as a table or as JSON."""
    names: list[str] = []
    faults: list[tuple[str, Fault]] = []
    hints: list[tuple[str, Fault]] = []
    try:
        for target in find_targets(text):
            names.append(target.function.metadata.name)
            faults += [(names[-1], fault) for fault in target.function.check(target.namespaces)]
            hints += [(names[-1], hint) for hint in target.function.hints()]
    except GraphError as error:
        faults = [("", fault) for fault in error.faults]
    if as_json:
        listed = [{"function": name, **fault.as_dict()} for name, fault in faults]
        told = [{"function": name, **hint.as_dict()} for name, hint in hints]
        click.echo(json.dumps({"target": text, "functions": names, "faults": listed, "hints": told}, indent=2))
        return 1 if faults else 0
    if faults:
        _print_findings(f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in {text}", "what is wrong", faults)
    else:
        click.echo(f"ok: {', '.join(names)} of {text} can be served")
    if hints:
        _print_findings(f"allowed, but seldom meant, in {text}", "hint", hints)
    return 1 if faults else 0


def invoke(
    target: str, path: str, body: str | None, method: str | None, headers: Mapping[str, str], timeout: float
) -> int:
    """Send one request to a URL, or to a mock server of a target, and print the answer."""
    content = _content(body)
    kinds = {} if content is None else {"content-type": _kind_of(content)}
    sent = {**kinds, **{name.lower(): value for name, value in headers.items()}}
    try:
        if target.startswith(("http://", "https://")):
            answer = request(target, path, content, method, sent, timeout)
        else:
            answer = _ask_mock(find_target(target), path, content, method, sent, timeout)
    except ServerError as error:
        _print_answer(error.body, sys.stderr)
        click.echo(f"Error: status {error.status_code}", err=True)
        return 1
    _print_answer(answer, sys.stdout)
    return 0


def _builder(target: Target, settings: Settings, worker_id: int) -> Any:
    function = target.function
    return lambda: function.build_server(namespaces=target.namespaces, worker_id=worker_id, **settings)


def _ask_mock(
    target: Target, path: str, content: str | None, method: str | None, headers: dict[str, str], timeout: float
) -> Any:
    function = target.function
    with MockServer(
        lambda: function.build_server(is_mock=True, namespaces=target.namespaces, request_timeout=timeout)
    ) as server:
        return server.test(path, content, method=method or "", headers=headers)


def _content(body: str | None) -> str | None:
    if body == "-":
        return sys.stdin.read()
    if body is not None and body.startswith("@"):
        path = Path(body[1:])
        if not path.is_file():
            raise click.UsageError(f"there is no file '{path}' to send")
        return path.read_text(encoding="utf-8")
    return body


def _kind_of(content: str) -> str:
    try:
        json.loads(content)
    except ValueError:
        return "text/plain"
    return "application/json"


def _print_answer(answer: Any, to: Any) -> None:
    if isinstance(answer, Chunks):
        for chunk in answer:
            _print_answer(chunk, to)
        return
    if isinstance(answer, bytes):
        to.buffer.write(answer)
        return
    text = answer if isinstance(answer, str) else dumps(answer).decode()
    print(text, file=to)


def _print_findings(title: str, heading: str, faults: list[tuple[str, Fault]]) -> None:
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("function")
    table.add_column("step", style="bold", overflow="fold")
    table.add_column(heading, overflow="fold")
    for name, fault in faults:
        table.add_row(*(Text(cell) for cell in (name, fault.step, fault.message)))
    Console().print(table)


def _say_ready(target: Target, address: str, workers: int) -> None:
    function = target.function
    several = f" by {workers} workers" if workers > 1 else ""
    lines = [f"function '{function.metadata.name}' is served on {address}{several} (Ctrl-C ends it)"]
    if topology_of(function.graph) == "router":
        lines.append(f"its models: curl {address}/v2/models/")
    else:
        lines.append(f"ask it:     curl {address}/ -d '{{}}' -H 'content-type: application/json'")
    print("\n".join(lines), flush=True)
