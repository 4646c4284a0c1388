"""Mock servers of small graphs, for tests of single steps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import servegraph
from servegraph.serve.mock import MockServer

engines = pytest.mark.parametrize("engine", ["sync", "async"])


def serve(define: Callable[[Any], Any], engine: str = "async") -> MockServer:
    """Return a mock server of the flow that a function defines."""
    fn = servegraph.new_function("steps", kind="serving")
    define(fn.set_topology("flow", engine=engine))
    return fn.to_mock_server()


def one(engine: str, step: Any, *bodies: Any, **options: Any) -> list[Any]:
    """Return what a flow of one step answers to each body; an error answer as its status and message."""
    with serve(lambda graph: graph.to(step, "step", **options).respond(), engine) as server:
        answers = [server.test(body=body, get_body=False, silent=True) for body in bodies]
    return [each.body if each.status_code < 400 else (each.status_code, each.body["error"]) for each in answers]


def together(server: MockServer, *bodies: Any, **options: Any) -> list[Any]:
    """Return the answers to bodies that are sent at the same time."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: server.test(body=body, **options), bodies))
