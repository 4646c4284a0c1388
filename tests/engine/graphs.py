"""Graphs for the rules of the engines: specs written as data, served by a mock on either engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.graph.spec import from_dict
from servegraph.serve.mock import MockServer
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings


class Records:
    """An error stream that keeps its records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def push(self, record: dict[str, Any]) -> None:
        self.records.append(record)


def builder(
    graph: dict[str, Any], *, calling: bool = True, settings: Settings | None = None, errors: Any = None, **names: Any
) -> Callable[[], Server]:
    """Return what builds a server of a graph given as data, whose names are the keywords."""

    def build() -> Server:
        found = Names([names])
        context = Context(name="test", is_mock=True, error_sink=errors)
        plan = compile_graph(from_dict(graph), found, context)
        return Server(plan, settings, names=found, calling=calling)

    return build


def mock(graph: dict[str, Any], **options: Any) -> MockServer:
    """Return a mock server of a graph given as data."""
    return MockServer(builder(graph, **options))


def flow(engine: str, on_error: str = "", **steps: Any) -> dict[str, Any]:
    """Return a flow as data: each keyword is a step, ``after`` may be one name."""
    plain = {}
    for name, step in steps.items():
        after = step.get("after", [])
        plain[name] = {**step, "after": [after] if isinstance(after, str) else after}
    return {"engine": engine, "steps": plain, **({"on_error": on_error} if on_error else {})}
