"""What happens to one event in a graph, with no I/O: the rules, written once as a generator and driven twice.

A walk yields what it cannot do itself and is sent the result: ``(node, event)`` for a call that runs elsewhere, one of
``engine.commands``, or something to await.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic as clock
from typing import Any

from servegraph.engine.calls import AWAITABLE, Chosen, Stop, Stream
from servegraph.engine.commands import END, Fork, Next, Raise, Walk
from servegraph.engine.joints import Gathered
from servegraph.engine.node import Node, Place
from servegraph.engine.route import InRoute, copy_of, through
from servegraph.engine.run import HELD, Run
from servegraph.engine.stream import Chunks
from servegraph.errors import DeadlineExceeded, StepError, nearest
from servegraph.events import DROP, Event


def begin(run: Run, starts: Sequence[Node]) -> Walk:
    """Return the walk of an event from the start of a graph."""
    hope = run.answers != "receipt"
    if len(starts) == 1:
        if run.joints is not None:
            run.joints.enter(starts[0])
        return walk(run, starts[0], run.event, hope)
    return _from_all(run, starts, hope)


def _from_all(run: Run, starts: Sequence[Node], hope: bool) -> Walk:
    try:
        walks = _branches(run, None, starts, [run.event], hope)
    except Exception as error:
        run.failed(starts[0], run.event, error, hope)
        return
    yield Fork(walks)


def walk(run: Run, node: Node, event: Event, hope: bool, came: Node | None = None, out: Any = None) -> Walk:
    """Take one event from a node to the end; ``hope`` says whether this walk may still reach the responder.

    ``came`` is the node before. A walk that begins in the middle of its node is given ``out``: what left the node
    already (a chunk of a stream), or what has gathered at a joint.
    """
    while True:
        now = clock()
        if now > run.deadline:
            run.failed(node, event, DeadlineExceeded(f"the time was used up before step '{node.path}'"), hope)
            break
        entered = event.body
        try:
            if out is None and node.arrive is not None:
                out = node.arrive(run, node, event, hope, came)
            if out is not None:
                if out is HELD:
                    return
                if type(out) is Raise:
                    raise out.error
                if type(out) is Gathered:
                    event, hope = out.event, run.gathered(out, hope)
                    out = node.joint(out)
            elif node.router is not None:
                out = yield from through(run, node, event, node.router)
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
                    yield from _unusual(run, node, event, out, hope)
                    return
            event, out = out, None
        except (Exception, SystemExit) as error:
            event.body, out = entered, None
            onward = _handler(run, node, event, error, hope)
            if onward is None:
                break
        else:
            if node.responds and hope:
                hope = _reply(run, node, [event])
            onward = node.only_child
            if onward is None:
                yield from _end_or_branch(run, node, event, hope)
                return
            if hope and not onward.can_answer:
                hope = False  # only the error handler of the step just left could have led to the responder
                run.lose()
        if run.joints is not None and node.leads is not onward.leads:
            yield from _resume(run, node, onward)
        came, node = node, onward
    yield from _resume(run, node, None)


def _handler(run: Run, node: Node, event: Event, error: BaseException, hope: bool) -> Node | None:
    """Return the node that handles an error; without one the event has failed for good."""
    failed_in, problem = _blame(node, error)
    if node.on_error is None:
        run.failed(failed_in, event, problem, hope)
    else:
        event.error, event.origin_state = problem, failed_in.path
    return node.on_error


def _end_or_branch(run: Run, node: Node, event: Event, hope: bool) -> Walk:
    if node.children:
        try:
            walks = _branches(run, node, node.children, [event], hope)
        except Exception as error:
            run.failed(node, event, error, hope)
        else:
            yield Fork(walks)
            return
    else:
        run.ended(node, event, hope)
    yield from _resume(run, node, None)


def _resume(run: Run, node: Node, onward: Node | None) -> Walk:
    """Let go on what waited at joints that a walk at this node can no longer reach."""
    walks = _complete(run, node, onward)
    if walks:
        yield Fork(walks)


def _complete(run: Run, node: Node, onward: Node | None) -> list[Walk]:
    if run.joints is None:
        return []
    walks = []
    for joint, gathered in run.joints.leave(node, onward):
        if gathered.failed:
            run.gathered(gathered)
        else:
            walks.append(walk(run, joint, gathered.event, joint.can_answer, None, gathered))
    return walks


def _reply(run: Run, node: Node, events: list[Event]) -> bool:
    # What goes on behind the responder must not change what the caller gets.
    run.reply_each([each.copy() for each in events] if node.children else events)
    return False


def _blame(node: Node, error: BaseException) -> tuple[Node, Exception]:
    """Return the node that failed and the error as its caller shall see it."""
    if isinstance(error, InRoute):
        node, error = error.node, error.error
    if isinstance(error, Exception):
        return node, error
    return node, StepError("the step called sys.exit()")


def _unusual(run: Run, node: Node, event: Event, out: Any, hope: bool) -> Walk:
    """Go on with what a step returned in place of its event; its walk ends here."""
    if type(out) is Stream:
        yield from _stream(run, node, event, out, hope)
        return
    if type(out) is Stop:
        run.stopped(out.event, hope)
    elif out is DROP:
        run.ended(node, None, hope)
    else:
        events = [out.event] if type(out) is Chosen else list(out)
        ways = _chosen(node, out.names) if type(out) is Chosen else node.children
        if events and node.responds and hope:
            hope = _reply(run, node, events)
        if events and ways:
            yield Fork(_branches(run, node, ways, events, hope))
            return
        run.ended(node, events[-1] if events and not node.children else None, hope)
    yield from _resume(run, node, None)


def _stream(run: Run, node: Node, event: Event, stream: Stream, hope: bool) -> Walk:
    """Let the caller have the stream, or run the following steps for each chunk of it."""
    if hope and node.streams and run.may_stream and run.answers == "responder":
        run.reply(event.branch(Chunks(run, node, event, stream, walk)))
        yield from _resume(run, node, None)
        return
    if run.joints is not None:
        run.joints.expect(node, event, hope)
    while (item := (yield Next(node, stream.iterator))) is not END:
        chunk = stream.chunk(event, item)
        if run.joints is not None:
            run.joints.enter(node)
        if hope:
            run.hopes += 1
        yield Fork([walk(run, node, chunk, hope, None, chunk)])
    yield from _resume(run, node, None)
    run.ended(node, None, hope)


def _branches(run: Run, node: Node | None, ways: Sequence[Node], events: list[Event], hope: bool) -> list[Walk]:
    """Return a walk for each event and each way; every walk but an event's last gets a copy of the body."""
    pairs: list[tuple[Node, Event]] = []
    for event in events:
        copies = [copy_of(event) for _ in ways[1:]]
        pairs += zip(ways, [*copies, event], strict=True)
    if hope:
        run.branched(sum(way.can_answer for way, _ in pairs))
    walks = [walk(run, way, event, hope and way.can_answer, node) for way, event in pairs]
    if run.joints is not None:
        for way, _ in pairs:
            run.joints.enter(way)
        if node is not None:
            walks += _complete(run, node, None)
    return walks


def _chosen(node: Node, names: Any) -> Sequence[Node]:
    if names is None:
        return node.children
    wanted = [names] if isinstance(names, str) else list(names)
    ways = []
    for name in wanted:
        way = node.outlets.get(name)
        if way is None:
            known = ", ".join(node.outlets) or "none"
            hint = nearest(name, node.outlets)
            raise StepError(f"select_outlets chose '{name}', the steps after it are: {known}{hint}")
        ways.append(way)
    if len(set(wanted)) != len(wanted):
        raise StepError(f"select_outlets chose a step twice: {', '.join(wanted)}")
    return ways
