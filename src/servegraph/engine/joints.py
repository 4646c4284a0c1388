"""Where the parts of one event meet again: how many are still on their way, and what is there when none is.

A graph with a Merge or a Collector (a *joint*) counts, for each event, the walks that can still reach it. Its parts go
on together when that count is zero, so that a part which was filtered is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from servegraph.engine.node import Node
from servegraph.events import Event


class Ticket:
    """A part that waits at a joint: the event, whether its walk could still answer, the node it came from."""

    __slots__ = ("came", "event", "hope")

    def __init__(self, event: Event, hope: bool, came: Node | None) -> None:
        """Take the event as it arrived."""
        self.event = event
        self.hope = hope
        self.came = came


class Gathered:
    """What goes on from a joint: the parts in order, and the event that stands for all of them.

    ``hopes`` counts the parts whose walks could still answer; ``failed`` says that a part will never come.
    """

    __slots__ = ("event", "failed", "hopes", "tickets")

    def __init__(self, tickets: list[Ticket], event: Event, hopes: int, failed: bool) -> None:
        """Take what a meeting came to."""
        self.tickets = tickets
        self.event = event
        self.hopes = hopes
        self.failed = failed


class _Meeting:
    __slots__ = ("failed", "live", "stream", "tickets")

    def __init__(self) -> None:
        self.live = 0
        self.failed = False
        self.stream: Ticket | None = None
        self.tickets: list[Ticket] = []


class Joints:
    """What the parts of one event have done so far, for each joint they can reach."""

    __slots__ = ("_meetings",)

    def __init__(self) -> None:
        """Start with no part anywhere."""
        self._meetings: dict[Node, _Meeting] = {}

    def enter(self, node: Node) -> None:
        """Note a walk that begins at a node."""
        for joint in node.leads:
            self._at(joint).live += 1

    def expect(self, node: Node, event: Event, hope: bool) -> None:
        """Note that the walk at a node is a stream, which reaches its joints even when it turns out to be empty."""
        for joint in node.leads:
            self._at(joint).stream = Ticket(event, hope, node)

    def fail(self, node: Node) -> None:
        """Note that a part failed for good on its way from a node."""
        for joint in node.leads:
            self._at(joint).failed = True

    def arrive(self, joint: Node, ticket: Ticket) -> Gathered | None:
        """Note a part that arrived at a joint; return what goes on if it was the last one awaited."""
        meeting = self._at(joint)
        meeting.tickets.append(ticket)
        meeting.live -= 1
        return None if meeting.live else self._gather(joint)

    def leave(self, node: Node, onward: Node | None = None) -> Iterator[tuple[Node, Gathered]]:
        """Note that a walk ends, or goes on to where fewer joints can be reached; yield what that completes."""
        still = onward.leads if onward is not None else ()
        left = [joint for joint in node.leads if joint not in still]
        for joint in left:
            self._at(joint).live -= 1
        for joint in left:  # the first on the way first: what goes on from it is on its way to the others
            meeting = self._meetings.get(joint)
            if meeting is not None and meeting.live == 0 and (meeting.tickets or meeting.stream is not None):
                yield joint, self._gather(joint)

    def _gather(self, joint: Node) -> Gathered:
        meeting = self._meetings.pop(joint)
        tickets = sorted(meeting.tickets, key=lambda ticket: _place(ticket, joint.places))
        stream = meeting.stream
        onward = 0 if meeting.failed else 1
        for other in joint.leads:
            if other is not joint:
                self._at(other).live += onward - len(tickets)
        hopes = sum(ticket.hope for ticket in tickets)
        if tickets or stream is None:
            return Gathered(tickets, meeting.tickets[-1].event, hopes, meeting.failed)
        return Gathered([], stream.event, 0, meeting.failed)

    def _at(self, joint: Node) -> _Meeting:
        meeting = self._meetings.get(joint)
        if meeting is None:
            meeting = self._meetings[joint] = _Meeting()
        return meeting


def _place(ticket: Ticket, places: Mapping[str, int]) -> int:
    """Return where a part stands in the order of ``after``; what a handler saved stands where its step stood."""
    came = ticket.came.path if ticket.came is not None else ""
    return places.get(came, places.get(ticket.event.origin_state or "", len(places)))
