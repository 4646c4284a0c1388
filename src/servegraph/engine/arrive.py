"""What may happen to an event before its step is called: it is counted in a cycle, or waits for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from servegraph.engine.joints import Gathered, Ticket
from servegraph.engine.node import Node
from servegraph.engine.run import HELD, Held, Run
from servegraph.errors import StepError
from servegraph.events import Event

Arrive: TypeAlias = Callable[[Run, Node, Event, bool, Node | None], Any]

_VISITS = "_visits"


def visiting(limit: int) -> Arrive:
    """Return what bounds how often one event may come to a step of a cycle."""

    def visit(run: Run, node: Node, event: Event, hope: bool, came: Node | None) -> None:
        visits: dict[str, int] = event.__dict__.get(_VISITS, {})
        count = visits.get(node.path, 0) + 1
        if count > limit:
            raise StepError(f"Max iterations exceeded in step '{node.path}' for event {event.id}: the limit is {limit}")
        event.__dict__[_VISITS] = {**visits, node.path: count}  # a branch of the event counts for itself

    return visit


def meet(run: Run, node: Node, event: Event, hope: bool, came: Node | None) -> Any:
    """Let a part wait at a joint until no other can come; return what has gathered, or HELD."""
    assert run.joints is not None
    gathered: Gathered | None = run.joints.arrive(node, Ticket(event, hope, came))
    if gathered is not None and gathered.failed:
        run.gathered(gathered)
        return HELD
    return HELD if gathered is None else gathered


def hold(run: Run, node: Node, event: Event, hope: bool, came: Node | None) -> Any:
    """Hand an event to a step that holds it until others have come, or time has passed."""
    held = Held(run, Ticket(event, hope, came))
    run.hold()
    try:
        node.owner.take(held)
    except BaseException:
        run.release()
        raise
    return HELD
