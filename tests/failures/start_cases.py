"""Every failure of a sound graph to start, and the ways to start it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.failures.folder import HEAD

from servegraph.errors import Fault, GraphError
from servegraph.function import ServingFunction
from servegraph.serve.http import serve_in_background


@dataclass(frozen=True)
class Start:
    """One failure: what it is called on the page, and the function that cannot start."""

    name: str
    python: str


def _model(class_name: str, more: str = "") -> str:
    return f'fn.add_model("m1", class_name="{class_name}"{more})'


_SKLEARN = "mlrun.frameworks.sklearn.SKLearnModelServer"
_ZEROS = "0" * 64

STARTS = [
    Start("a constructor raises",
          'fn.set_topology("flow").to("models.Refusing", "price", url="localhost:1").respond()'),
    Start("`post_init` of a step raises", 'fn.set_topology("flow").to("models.Pool", "price").respond()'),
    Start("`load` raises", _model("models.Crashing")),
    Start("`load` calls `sys.exit`", _model("models.Leaving")),
    Start("`load` is async", _model("models.Waiting")),
    Start("a model class without `predict`", _model("models.Mute")),
    Start("a model class without `load`", _model("models.Unread", ', model_path="one/a.pkl"')),
    Start("no `model_path`", _model("SKLearnModelServer")),
    Start("the model's file is not there", _model("SKLearnModelServer", ', model_path="one/b.pkl"')),
    Start("its folder holds no model", _model("SKLearnModelServer", ', model_path="none"')),
    Start("its folder holds several", _model("SKLearnModelServer", ', model_path="two"')),
    Start("the file is not the one promised",
          _model("SKLearnModelServer", f', model_path="one", sha256="{_ZEROS}"')),
    Start("`sha256` is no digest", _model("SKLearnModelServer", ', model_path="one", sha256="abc"')),
    Start("a pickle from another machine, without a digest",
          _model("SKLearnModelServer", ', model_path="http://localhost/a.pkl"')),
    Start("a scheme that no store has", _model("SKLearnModelServer", ', model_path="tape://a/b.pkl", trust=True')),
    Start("the file holds no model", _model("SKLearnModelServer", ', model_path="one"')),
    Start("several at once", f'{_model("models.Crashing")}\n{_model("models.Waiting").replace("m1", "m2")}'),
]  # fmt: skip


def function_of(case: Start) -> ServingFunction:
    """Return the function of a case, which has no fault of its definition."""
    space: dict[str, ServingFunction] = {}
    exec(HEAD + case.python, {"__name__": "app"}, space)
    return space["fn"]


def by_mock(case: Start) -> tuple[Fault, ...]:
    """Start a mock server and return why it does not."""
    try:
        function_of(case).to_mock_server()
    except GraphError as error:
        return error.faults
    return ()


def by_http(case: Start) -> tuple[Fault, ...]:
    """Start a server over HTTP and return why it does not."""
    try:
        with serve_in_background(function_of(case).build_server):
            return ()
    except GraphError as error:
        return error.faults


def by_command(case: Start, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run ``servegraph serve`` in a process and return its exit code and the error that it prints."""
    (folder / "app.py").write_text(f"{HEAD}{case.python}\n")
    command = [sys.executable, "-m", "servegraph", "serve", "app.py", *(arguments or ("--port", "0"))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.partition("Error: ")[2].rstrip()


def port_taken(folder: Path) -> tuple[int, str]:
    """Run ``servegraph serve`` on a port where another program listens; the port is told as 8080."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, error = by_command(Start("", _model("models.Model")), folder, "--port", port)
    return code, re.sub(rf"\b{port}\b", "8080", error)
