"""What happens to one event in a graph, with no I/O: the rules, written once as a generator and driven twice.

A walk yields what it cannot do itself and is sent the result: ``(node, event)`` for a call that runs elsewhere, a
``Fork`` of walks that go on side by side, a ``Gather`` of routes whose answers it needs, or something to await.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from time import monotonic as clock
from typing import Any, TypeAlias

from servegraph.engine.calls import AWAITABLE, Chosen, Stop
from servegraph.engine.node import Node, Place, Routes
from servegraph.engine.run import Run
from servegraph.errors import DeadlineExceeded, EventError, StepError, nearest
from servegraph.events import DROP, Event, Response

Walk: TypeAlias = Generator[Any, Any, None]


class Fork:
    """Walks that go on side by side (or, in the sync engine, in this order)."""

    __slots__ = ("walks",)

    def __init__(self, walks: list[Walk]) -> None:
        """Take the walks in the order of definition."""
        self.walks = walks


class Gather:
    """Calls whose results are needed together; an exception is a result."""

    __slots__ = ("calls",)

    def __init__(self, calls: list[Generator[Any, Any, Event]]) -> None:
        """Take the calls in order."""
        self.calls = calls


class _InRoute(Exception):
    """A route of a router failed: the node and its error."""

    def __init__(self, node: Node, error: BaseException) -> None:
        super().__init__(node.path)
        self.node = node
        self.error = error


def begin(run: Run, starts: Sequence[Node]) -> Walk:
    """Return the walk of an event from the start of a graph."""
    if len(starts) == 1:
        return walk(run, starts[0], run.event, True)
    return _from_all(run, starts)


def _from_all(run: Run, starts: Sequence[Node]) -> Walk:
    try:
        walks = _branches(run, starts, [run.event], True)
    except Exception as error:
        run.failed(starts[0], run.event, error, True)
        return
    yield Fork(walks)


def walk(run: Run, node: Node, event: Event, hope: bool) -> Walk:
    """Take one event from a node to the end; ``hope`` says whether this walk may still reach the responder."""
    while True:
        now = clock()
        if now > run.deadline:
            run.failed(node, event, DeadlineExceeded(f"the time was used up before step '{node.path}'"), hope)
            return
        entered = event.body
        try:
            if node.router is not None:
                out = yield from _through(run, node, event, node.router)
            elif node.place == Place.INLINE:
                out = node.call(event)
            elif node.place == Place.PROVEN:
                out = node.call(event)
                node.judge(clock() - now)
            else:
                run.at = node
                out = yield node, event
            if out is not event and type(out) is not Event:
                while type(out) in AWAITABLE:
                    out = yield out
                if type(out) is not Event:
                    yield from _unusual(run, node, out, hope)
                    return
            event = out
        except (Exception, SystemExit) as error:
            failed_in, problem = _blame(node, error)
            event.body = entered
            if node.on_error is None:
                run.failed(failed_in, event, problem, hope)
                return
            event.error, event.origin_state = problem, failed_in.path
            node = node.on_error
            continue
        if node.responds and hope:
            hope = _reply(run, node, event)
        if node.only_child is not None:
            node = node.only_child
        elif not node.children:
            run.ended(node, event, hope)
            return
        else:
            try:
                walks = _branches(run, node.children, [event], hope)
            except Exception as error:
                run.failed(node, event, error, hope)
                return
            yield Fork(walks)
            return


def _blame(node: Node, error: BaseException) -> tuple[Node, Exception]:
    """Return the node that failed and the error as its caller shall see it."""
    if isinstance(error, _InRoute):
        node, error = error.node, error.error
    if isinstance(error, Exception):
        return node, error
    return node, StepError("the step called sys.exit()")


def _reply(run: Run, node: Node, event: Event) -> bool:
    # What goes on behind the responder must not change what the caller gets.
    run.reply(event.copy() if node.children else event)
    return False


def _unusual(run: Run, node: Node, out: Any, hope: bool) -> Walk:
    """Go on with what a step returned in place of its event: nothing, several events, or a choice of ways."""
    if out is DROP:
        run.ended(node, None, hope)
        return
    if type(out) is Stop:
        run.stopped(out.event, hope)
        return
    events = [out.event] if type(out) is Chosen else list(out)
    ways = _chosen(node, out.names) if type(out) is Chosen else node.children
    if events and node.responds and hope:
        hope = _reply(run, node, events[0])
    if not events or not ways:
        ended = events[-1] if events and not node.children else None
        run.ended(node, ended, hope)
        return
    yield Fork(_branches(run, ways, events, hope))


def _branches(run: Run, ways: Sequence[Node], events: list[Event], hope: bool) -> list[Walk]:
    """Return a walk for each event and each way; every walk but an event's last gets a copy of the body."""
    pairs: list[tuple[Node, Event]] = []
    for event in events:
        copies = [_copy(event) for _ in ways[1:]]
        pairs += zip(ways, [*copies, event], strict=True)
    run.branched(hope, sum(way.can_answer for way, _ in pairs))
    return [walk(run, way, event, hope and way.can_answer) for way, event in pairs]


def _copy(event: Event) -> Event:
    try:
        return event.copy()
    except Exception as error:
        kind = type(event.body).__name__
        raise StepError(
            f"the body ({kind}) cannot be copied for the branches that follow: {error}; "
            "give it a __deepcopy__, or make the steps after it one chain"
        ) from error


def _chosen(node: Node, names: Any) -> Sequence[Node]:
    if names is None:
        return node.children
    wanted = [names] if isinstance(names, str) else list(names)
    ways = []
    for name in wanted:
        way = node.outlets.get(name)
        if way is None:
            known = ", ".join(node.outlets) or "none"
            raise StepError(
                f"select_outlets chose '{name}', the steps after it are: {known}{nearest(name, node.outlets)}"
            )
        ways.append(way)
    if len(set(wanted)) != len(wanted):
        raise StepError(f"select_outlets chose a step twice: {', '.join(wanted)}")
    return ways


def _through(run: Run, node: Node, event: Event, routes: Routes) -> Generator[Any, Any, Any]:
    """Run the routes a router selects and merge their answers."""
    choice = yield from _called(run, node, event)
    while type(choice) in AWAITABLE:
        choice = yield choice
    if type(choice) is str:
        chosen = _route(routes, choice)
        try:
            answers: Mapping[str, Any] = {choice: (yield from _routed(run, chosen, event))}
        except (Exception, SystemExit) as error:
            raise _InRoute(chosen, error) from error
    elif isinstance(choice, Event):
        return Stop(choice) if choice.terminated else choice
    elif isinstance(choice, Response):
        event.body = choice
        return event
    else:
        nodes = {name: _route(routes, name) for name in choice}
        results = yield Gather([_routed(run, each, _copy(event)) for each in nodes.values()])
        answers = dict(zip(nodes, results, strict=True))
    merged = routes.merge(event, answers)
    while type(merged) in AWAITABLE:
        merged = yield merged
    return Stop(merged) if merged.terminated else merged


def _route(routes: Routes, name: str) -> Node:
    try:
        return routes.nodes[name]
    except KeyError:
        # Selected a moment ago, removed since: for the caller it is as if it had never been there.
        gone: EventError = StepError(f"the router chose route '{name}', which it does not have")
        gone.status_code = 404
        raise gone from None


def _routed(run: Run, node: Node, event: Event) -> Generator[Any, Any, Event]:
    out = yield from _called(run, node, event)
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
