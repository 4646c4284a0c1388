"""From a function to a server: its code loaded, its names found, its graph compiled."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import check_graph, compile_graph
from servegraph.errors import Fault, GraphError
from servegraph.function.secrets import read_secrets
from servegraph.function.spec import FunctionSpec, Graph, Metadata
from servegraph.graph.naming import name_of
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings
from servegraph.sources.load import load_code

logger = logging.getLogger("servegraph")

LOAD_MODES: Final = ("sync", "async")


@dataclass(slots=True)
class Starting:
    """What a ``graph_initializer`` is called with: the graph it may still change, and what steps will see."""

    graph: Graph
    context: Context
    parameters: dict[str, Any]


def start(
    metadata: Metadata,
    spec: FunctionSpec,
    graph: Graph,
    namespaces: Sequence[Any],
    *,
    settings: Settings,
    is_mock: bool,
    current_function: str,
    worker_id: int,
) -> Server:
    """Compile a function's graph into a server of its own; raises GraphError with everything that is wrong.

    ``graph`` belongs to this server: the initializer changes it, not the function's own.
    """
    if spec.load_mode not in LOAD_MODES:
        raise GraphError(f"load_mode is 'sync' or 'async', not '{spec.load_mode}'", code="load_mode")
    os.environ.update(spec.env)
    names = find_names(metadata, spec, graph, namespaces)
    context = Context(
        name=metadata.name,
        project=metadata.project,
        parameters=spec.parameters,
        secrets=read_secrets(spec.secret_sources),
        is_mock=is_mock,
        current_function=current_function,
        worker_id=worker_id,
    )
    if spec.graph_initializer:
        _initializer(spec, names)(Starting(graph, context, context.parameters))
    default_class = spec.default_class
    return Server(
        compile_graph(graph.spec, names, context),
        settings,
        names=names,
        calling=is_mock,
        load_mode=spec.load_mode,
        default_content_type=spec.default_content_type,
        default_class=default_class
        if isinstance(default_class, str)
        else graph.live.name(name_of(default_class), default_class),
    )


def faults_of(metadata: Metadata, spec: FunctionSpec, namespaces: Sequence[Any]) -> list[Fault]:
    """Return everything that is wrong with a function, without building any step."""
    graph = spec.graph
    if graph is None:
        return [no_graph(metadata.name)]
    try:
        names = find_names(metadata, spec, graph, namespaces)
    except GraphError as error:
        return list(error.faults)
    faults = check_graph(graph.spec, names)
    if spec.load_mode not in LOAD_MODES:
        faults.append(Fault("", "load_mode", f"load_mode is 'sync' or 'async', not '{spec.load_mode}'"))
    if spec.graph_initializer:
        try:
            _initializer(spec, names)
        except GraphError as error:
            faults += error.faults
    return faults


def find_names(metadata: Metadata, spec: FunctionSpec, graph: Graph, namespaces: Sequence[Any]) -> Names:
    """Return what finds a function's names: in its own code, then where its steps were defined, then elsewhere."""
    build = spec.build
    if build.source and build.source not in sys.path:
        sys.path.append(build.source)
    own = [load_code(build.code, metadata.name, build.origin_filename)] if build.code else []
    return Names([*own, *graph.live.namespaces, *namespaces], graph.live)


def no_graph(name: str) -> Fault:
    """Return the fault of a function without a graph."""
    return Fault("", "graph", f"function '{name}' has no graph: call fn.set_topology(...) or fn.add_model(...) first")


def _initializer(spec: FunctionSpec, names: Names) -> Callable[[Starting], Any]:
    initializer = spec.graph_initializer
    if not isinstance(initializer, str):
        return initializer
    try:
        found: Callable[[Starting], Any] = names.callable(initializer)
    except LookupError as error:
        raise GraphError(f"graph_initializer {error.args[0]}", code="initializer") from error
    return found
