"""The arrows of a plan: which nodes follow, who may still answer, where parts meet, where cycles are bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from servegraph.engine.arrive import hold, meet, visiting
from servegraph.engine.joints import Gathered
from servegraph.engine.node import Node
from servegraph.engine.run import Answers
from servegraph.graph import rules
from servegraph.graph.spec import ErrorStepSpec, FlowSpec

MAX_ITERATIONS: Final = 100
"""How often one event may come to a step of a cycle where the graph does not say."""


def link(flow: FlowSpec, nodes: dict[str, Node]) -> None:
    """Link the nodes of a flow to those that follow and to their error handlers, and say what happens on arrival."""
    behind_handler = rules.reachable(flow, [flow.on_error]) if flow.on_error else set()
    for name, onward in rules.children(flow).items():
        node, step = nodes[name], flow.steps[name]
        node.children = tuple(nodes[child] for child in onward)
        node.outlets = {child: nodes[child] for child in onward}
        chooses = hasattr(node.owner, "select_outlets")
        node.only_child = node.children[0] if len(onward) == 1 and not chooses else None
        exempt = isinstance(step, ErrorStepSpec) or name in behind_handler
        handler = step.on_error or ("" if exempt else flow.on_error)
        node.on_error = nodes[handler] if handler and handler != name else None
        node.catches = isinstance(step, ErrorStepSpec) and not onward
        if step.cycle_from:
            node.arrive = visiting(step.max_iterations or flow.max_iterations or MAX_ITERATIONS)
        elif joins(node):
            node.arrive = meet
            node.joint = _joining(node.owner)
            node.places = {source: place for place, source in enumerate(step.after)}
        elif holds(node):
            node.arrive = hold


def joins(node: Node) -> bool:
    """Return whether a node waits for all parts of an event."""
    return _offers_first(node.owner, "join")


def holds(node: Node) -> bool:
    """Return whether a node keeps events until others have come."""
    return _offers_first(node.owner, "take")


def _offers_first(owner: Any, method: str) -> bool:
    return callable(getattr(owner, method, None)) and not hasattr(owner, "do") and not hasattr(owner, "do_event")


def _joining(owner: Any) -> Callable[[Gathered], Any]:
    def join(gathered: Gathered) -> Any:
        return owner.join(gathered.event, [ticket.event for ticket in gathered.tickets])

    return join


def spread(nodes: dict[str, Node], answers: Answers) -> None:
    """Work out, for every node, whether the answer and which joints can be reached from it."""
    everyone = list(nodes.values())
    if answers == "last":
        for node in everyone:
            node.can_answer = True
    changed = True
    while changed:
        changed = False
        for node in everyone:
            handled = () if node.on_error is None else node.on_error.children
            onward = (*node.children, *handled)
            if not node.can_answer and (node.responds or any(child.can_answer for child in onward)):
                node.can_answer = changed = True
    _lead(everyone)


def _lead(everyone: list[Node]) -> None:
    reach: dict[Node, set[Node]] = {node: {node} if node.arrive is meet else set() for node in everyone}
    changed = True
    while changed:
        changed = False
        for node in everyone:
            handler = () if node.on_error is None else (node.on_error,)
            new = set().union(reach[node], *(reach[each] for each in (*node.children, *handler)))
            if new != reach[node]:
                reach[node], changed = new, True
    # A joint from which another can be reached comes first. Equal tuples are one object, so that ``is`` compares them.
    shared: dict[tuple[Node, ...], tuple[Node, ...]] = {}
    for node in everyone:
        leads = tuple(sorted(reach[node], key=lambda joint: -len(reach[joint])))
        node.leads = shared.setdefault(leads, leads)


def stream(nodes: dict[str, Node]) -> None:
    """Work out from which nodes a stream goes to the caller as it comes: where no joint stands before the responder."""
    direct: set[Node] = {node for node in nodes.values() if node.responds and node.arrive not in (meet, hold)}
    changed = True
    while changed:
        more = {
            node
            for node in nodes.values()
            if node not in direct and node.arrive not in (meet, hold) and any(each in direct for each in node.children)
        }
        direct |= more
        changed = bool(more)
    for node in nodes.values():
        node.streams = node in direct
