"""A server for tests in processes of its own: alone, or as a supervisor of several workers."""

from __future__ import annotations

import argparse
import asyncio
import os
import runpy
import sys
import time
from typing import Any

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.errors import GraphError, NotFound
from servegraph.events import Event
from servegraph.graph.spec import from_dict
from servegraph.serve.http import run
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings
from servegraph.serve.workers import run_workers


class ByPath:
    """A router that takes the route from the end of the path."""

    def attach(self, routes: Any) -> None:
        self.routes = routes

    def select(self, event: Event) -> str:
        name = event.path.rpartition("/")[2]
        if name not in self.routes:
            raise NotFound(f"there is no {name}")
        return name

    def merge(self, event: Event, answers: Any) -> Any:
        (answer,) = answers.values()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Model:
    """Says who it is and when it was made; refuses to be made where a file says so."""

    def __init__(self, answer: str = "", refuse: str = "") -> None:
        self.answer = answer
        self.made = time.monotonic_ns()
        if refuse and os.path.exists(refuse) and str(os.getpid()) in open(refuse).read().split():  # noqa: SIM115
            raise RuntimeError("this process shall not")

    async def do(self, body: Any) -> dict[str, Any]:
        if isinstance(body, dict) and "sleep" in body:
            await asyncio.sleep(body["sleep"])
        return {"pid": os.getpid(), "answer": self.answer, "made": self.made}


def build(answer: str, refuse: str) -> Server:
    names = Names([{"ByPath": ByPath, "Model": Model}])
    model = {"class_name": "Model", "class_args": {"answer": answer, "refuse": refuse}}
    router = {"kind": "router", "class_name": "ByPath", "routes": {"m": model}, "responder": True}
    plan = compile_graph(from_dict({"kind": "root", "steps": {"router": router}}), names, Context(name="test"))
    settings = Settings(model_control=True, drain_timeout=20, drain_grace=0.1)
    return Server(plan, settings, names=names)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--watch", default="")
    parser.add_argument("--refuse", default="")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--control-fd", type=int)
    parser.add_argument("--worker-id", type=int)
    given = parser.parse_args()
    if given.workers:
        options = ["--watch", given.watch, "--refuse", given.refuse]
        command = [sys.executable, "-u", __file__, *options]
        watch = [given.watch] if given.watch else []
        return run_workers(command, given.workers, port=0, watch=watch, ready=print, report=print)
    answer = runpy.run_path(given.watch)["ANSWER"] if given.watch else ""
    ready = print if given.control_fd is None else None
    try:
        return run(lambda: build(answer, given.refuse), port=0, fd=given.fd, control_fd=given.control_fd, ready=ready)
    except GraphError as error:
        print(error)
        return 3


if __name__ == "__main__":
    sys.exit(main())
