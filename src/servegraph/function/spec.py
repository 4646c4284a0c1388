"""What a function is made of, as data its author may change until it is served."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from servegraph.errors import GraphError
from servegraph.graph.builder import FlowGraph, RouterGraph, load_graph
from servegraph.graph.live import Live
from servegraph.serve.settings import Settings

Graph: TypeAlias = FlowGraph | RouterGraph

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass(slots=True)
class Metadata:
    """Who a function is."""

    name: str
    project: str = ""
    tag: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Build:
    """What a function's environment and code are made of.

    ``code`` is the text of its module, taken from ``origin_filename`` where it came from a file; ``source`` is a folder
    from which it imports. ``commands`` are run once at deploy, never by the mock or by ``serve``.
    """

    commands: list[str] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    base_image: str = ""
    source: str = ""
    code: str = ""
    origin_filename: str = ""


@dataclass(slots=True)
class Http:
    """Where a function listens when ``serve`` is not told otherwise, and in how many processes."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1


@dataclass(slots=True)
class FunctionSpec:
    """What a function does and with what; times are seconds.

    ``graph_initializer`` is a callable or its name: it is called with an object that has ``graph``, ``context`` and
    ``parameters`` before the graph is compiled, and may change them. ``default_class`` is what ``add_model`` uses
    when it is given no class.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    default_content_type: str = ""
    default_class: Any = ""
    graph_initializer: str | Callable[[Any], Any] = ""
    load_mode: str = "sync"
    error_stream: str = ""
    env: dict[str, str] = field(default_factory=dict)
    secret_sources: list[dict[str, Any]] = field(default_factory=list)
    image: str = ""
    build: Build = field(default_factory=Build)
    function_refs: dict[str, Any] = field(default_factory=dict)
    server: Settings = field(default_factory=Settings)
    http: Http = field(default_factory=Http)
    _graph: Graph | None = None

    @property
    def graph(self) -> Graph | None:
        """The graph, or ``None`` before there is one; a graph's dict may be assigned, too."""
        return self._graph

    @graph.setter
    def graph(self, graph: Graph | Mapping[str, Any] | None) -> None:
        self._graph = load_graph(dict(graph)) if isinstance(graph, Mapping) else graph


def copy_graph(graph: Graph) -> Graph:
    """Return a graph of its own with the same steps and the same living objects."""
    live = graph.live
    arguments = {path: dict(given) for path, given in live.arguments.items()}
    twin = Live(dict(live.names), dict(live.instances), arguments, list(live.namespaces))
    return load_graph(graph.spec, twin)


def normalised_name(name: str) -> str:
    """Return a name as functions and projects carry it: lower case, ``-`` for ``_`` and blanks.

    Raises GraphError for what could not name a file or a host.
    """
    normal = name.strip().lower().replace("_", "-").replace(" ", "-")
    if not _NAME.fullmatch(normal):
        raise GraphError(
            f"'{name}' is no name: use letters, digits, '-' and '.', 63 at most, a letter or digit at both ends",
            code="name",
        )
    return normal


def generated_name() -> str:
    """Return a name for a function that was given none."""
    return f"servegraph-{secrets.token_hex(3)}"
