"""How a function starts its graph, and where its models go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from servegraph.errors import GraphError, nearest
from servegraph.function.spec import Graph
from servegraph.graph.builder import RouterGraph, new_graph
from servegraph.graph.spec import FlowSpec, RouterSpec


def topology_of(graph: Graph) -> str:
    """Return ``"router"`` or ``"flow"``."""
    return "router" if isinstance(graph, RouterGraph) else "flow"


def new_topology(
    function: str,
    graph: Graph | None,
    topology: str,
    class_name: Any,
    exist_ok: bool,
    options: Mapping[str, Any],
    class_args: Mapping[str, Any],
) -> Graph:
    """Return the graph that a function called ``function`` starts in place of the one it has.

    Raises GraphError where there is one already that may not be replaced, and for what the topology does not take.
    """
    if graph is not None and topology in ("router", "flow"):
        there = topology_of(graph)
        if topology != there:
            raise GraphError(f"function '{function}' has a {there} graph, which cannot become a {topology}")
        if not exist_ok:
            raise GraphError(
                f"function '{function}' has a graph already: go on with fn.spec.graph, or start an empty one with "
                "set_topology(..., exist_ok=True)",
                code="topology",
            )
    return new_graph(topology, class_name, **options, **class_args)


def router_of(graph: Graph, router_step: str | None) -> Any:
    """Return the handle of the router that takes models; raises GraphError where it is not clear which."""
    if isinstance(graph, RouterGraph):
        return graph
    routers = [name for name, step in graph.steps.items() if isinstance(step.spec, RouterSpec)]
    if router_step is not None:
        if router_step not in routers:
            hint = nearest(router_step, routers)
            raise GraphError(f"there is no router step '{router_step}'{hint}", code="router")
        return graph[router_step]
    if len(routers) != 1:
        found = f"several routers ({', '.join(routers)})" if routers else "no router"
        advice = "name one with router_step=" if routers else "add one with graph.to('*', name='router')"
        raise GraphError(f"the flow has {found}: {advice}", code="router")
    return graph[routers[0]]


def remove_steps(graph: Graph, keys: Sequence[str]) -> None:
    """Remove steps or routes by name, all of them when no names are given; raises GraphError for unknown names."""
    spec = graph.spec
    there = spec.steps if isinstance(spec, FlowSpec) else spec.routes
    for key in keys:
        if key not in there:
            raise GraphError(f"there is no step '{key}' to remove{nearest(key, there)}", code="name")
    graph.remove(keys)
