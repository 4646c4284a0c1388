"""What happens in a router: the routes it selects are run, their answers merged."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from time import monotonic as clock
from typing import Any

from servegraph.engine.calls import AWAITABLE, Stop
from servegraph.engine.commands import Gather
from servegraph.engine.node import Node, Place, Routes
from servegraph.engine.run import Run
from servegraph.errors import StepError
from servegraph.events import DROP, Event, Response


class InRoute(Exception):
    """A route of a router failed: the node and its error."""

    def __init__(self, node: Node, error: BaseException) -> None:
        """Take where the error came from."""
        super().__init__(node.path)
        self.node = node
        self.error = error


def through(run: Run, node: Node, event: Event, routes: Routes) -> Generator[Any, Any, Any]:
    """Run the routes a router selects and merge their answers."""
    path = event.path
    choice = node.call(event) if node.place == Place.INLINE else (yield from _called(run, node, event))
    while type(choice) in AWAITABLE:
        choice = yield choice
    if type(choice) is str:
        chosen = routes.enter(choice)
        try:
            out = chosen.call(event) if chosen.place == Place.INLINE else (yield from _called(run, chosen, event))
            answers: Mapping[str, Any] = {
                choice: out if type(out) is Event else (yield from _event(chosen, event, out))
            }
        except (Exception, SystemExit) as error:
            event.path = path  # an error handler sees where the event was going, not what the router made of it
            raise InRoute(chosen, error) from error
        finally:
            routes.leave(chosen)
    elif isinstance(choice, Event):
        return Stop(choice) if choice.terminated else choice
    elif isinstance(choice, Response):
        event.body = choice
        return event
    else:
        answers = yield from _side_by_side(run, event, routes, list(choice))
    merged = routes.merge(event, answers)
    while type(merged) in AWAITABLE:
        merged = yield merged
    return Stop(merged) if merged.terminated else merged


def copy_of(event: Event) -> Event:
    """Return a copy of an event for a branch; raises StepError saying what cannot be copied."""
    try:
        return event.copy()
    except Exception as error:
        kind = type(event.body).__name__
        raise StepError(
            f"the body ({kind}) cannot be copied for the branches that follow: {error}; "
            "give it a __deepcopy__, or make the steps after it one chain"
        ) from error


def _side_by_side(run: Run, event: Event, routes: Routes, names: list[str]) -> Generator[Any, Any, dict[str, Any]]:
    nodes: list[Node] = []
    try:
        nodes += [routes.enter(name) for name in names]
        results = yield Gather([_routed(run, node, copy_of(event)) for node in nodes])
    finally:
        for node in nodes:
            routes.leave(node)
    return dict(zip(names, results, strict=True))


def _routed(run: Run, node: Node, event: Event) -> Generator[Any, Any, Event]:
    return (yield from _event(node, event, (yield from _called(run, node, event))))


def _event(node: Node, event: Event, out: Any) -> Generator[Any, Any, Event]:
    """Return the event that a route answers with, whatever form it returned it in."""
    while type(out) in AWAITABLE:
        out = yield out
    if type(out) is Event:
        return out
    if type(out) is Stop:
        return out.event
    if out is DROP:
        event.body = None
        return event
    raise StepError(f"route '{node.path}' returned {type(out).__name__}: a route answers with one event")


def _called(run: Run, node: Node, event: Event) -> Generator[Any, Any, Any]:
    """Call a node where its place is."""
    if node.place == Place.ELSEWHERE:
        run.at = node
        return (yield node, event)
    if node.place == Place.INLINE:
        return node.call(event)
    before = clock()
    out = node.call(event)
    node.judge(clock() - before)
    return out
