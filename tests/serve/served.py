"""What the tests of the HTTP door share: servers of small graphs, and a client that sends exactly the bytes it is given."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.graph.spec import from_dict
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings

APP = Path(__file__).with_name("app.py")


def builder(step: Callable[..., Any], *, full_event: bool = False, **settings: Any) -> Callable[[], Server]:
    """Return what builds a server of one step."""

    def build() -> Server:
        names = Names([{"step": step}])
        plain = {"class_name" if isinstance(step, type) else "handler": "step", "responder": True}
        plain |= {"full_event": True} if full_event else {}
        plan = compile_graph(from_dict({"kind": "root", "steps": {"step": plain}}), names, Context(name="test"))
        return Server(plan, Settings(**settings), names=names)

    return build


class Answer:
    """One answer as it came over the wire."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A raw connection to a server."""

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        place = urlsplit(address)
        self.sock = socket.create_connection((place.hostname, place.port), timeout)
        self.file = self.sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, head: bool = False) -> Answer | None:
        """Return the next answer, or None where the server has closed the connection."""
        line = self.file.readline()
        if not line:
            return None
        status = int(line.split()[1])
        headers = {}
        while (line := self.file.readline().rstrip()) != b"":
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name] = value
        body = b"" if head else self.file.read(int(headers.get("content-length", 0)))
        return Answer(status, headers, body)

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        answer = self.read()
        assert answer is not None, "the server closed the connection without an answer"
        return answer

    def closed(self) -> bool:
        """Say whether the server ends the connection without another answer."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def post(body: bytes | str = b"{}", path: str = "/", **headers: str) -> bytes:
    """Return the bytes of a POST request; a keyword ``x_y`` is the header ``x-y``."""
    body = body.encode() if isinstance(body, str) else body
    given = {"host": "test", "content-type": "application/json", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def ask(address: str, data: bytes) -> Answer:
    """Send one request over a connection of its own."""
    with Wire(address) as wire:
        return wire.ask(data)


class Process:
    """A server in a process of its own, with what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.address = ""

    def wait_for(self, start: str) -> str:
        """Return the next line that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"the server ended without saying '{start}'")


@contextmanager
def running(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Process]:
    """Run ``app.py`` with these arguments until the block is left, once it has said where it listens."""
    with subprocess.Popen(
        [sys.executable, "-u", str(APP), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
    ) as process:  # fmt: skip
        server = Process(process)
        try:
            server.address = server.wait_for("http://")
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)
