"""What is known of one event on its way through a plan: until when, who can still answer it, and with what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from servegraph.bodies import copy_body
from servegraph.context import Context
from servegraph.engine.joints import Gathered, Joints, Ticket
from servegraph.engine.node import Node
from servegraph.errors import EventError, StepError
from servegraph.events import Event, Response

Answers: TypeAlias = Literal["responder", "last", "receipt"]
"""Who answers: the responder, the step that ends last (sync engine without responder), nobody (a receipt)."""

FOREVER: Final = float("inf")


HELD: Final = object()
"""What stands for an event that waits in a step for others: its walk goes no further."""


class Failure:
    """An event that no handler caught: the step it failed in, the event as it entered the step, the exception."""

    __slots__ = ("error", "event", "step")

    def __init__(self, step: str, event: Event, error: BaseException) -> None:
        """Take where and why the event failed."""
        self.step = step
        self.event = event
        self.error = error


class Run:
    """One event's way through a plan.

    ``hopes`` counts the walks that can still reach the responder (in ``last``, all walks). When the last of them ends
    without an answer, the answer is the failure that stopped it, or empty. ``held`` counts the parts of this event
    that wait in a step for other events.
    """

    __slots__ = (
        "answer", "answered", "answers", "at", "context", "deadline", "event", "failure", "held", "hopes", "joints",
        "let_go", "waiter",
    )  # fmt: skip

    may_stream = True
    """Whether the caller may be given a stream; a chunk of one cannot be a stream itself."""

    def __init__(self, event: Event, answers: Answers, deadline: float, context: Context, joints: bool = False) -> None:
        """Start with one hope: the walk from the start of the graph."""
        self.event = event
        self.answers: Answers = answers
        self.deadline = deadline
        self.context = context
        self.answer: Event | None = None
        self.failure: Failure | None = None
        self.answered = False
        self.hopes = 1
        self.held = 0
        self.at: Node | None = None
        self.joints = Joints() if joints else None
        self.waiter: asyncio.Future[None] | None = None
        self.let_go: Callable[[], None] | None = None

    def reply(self, event: Event) -> None:
        """Answer the caller with the event that left the responder; the first answer counts."""
        if not self.answered:
            self.answer = event
            self.settle()

    def reply_each(self, events: list[Event]) -> None:
        """Answer with the events that left the responder together."""
        for event in events:
            if not self.answered:
                self.reply(event)

    def ended(self, node: Node, event: Event | None, hope: bool) -> None:
        """Note that a walk came to its end; ``event`` is None where a step dropped it."""
        if not hope:
            return
        if event is not None and self.answers == "last":
            self.answer, self.failure = event, None
        if event is not None and node.catches and self.answers == "responder":
            self.reply(event)
        else:
            self.lose()

    def stopped(self, event: Event, hope: bool) -> None:
        """Note that a step answered for the rest of the graph, by setting ``event.terminated``."""
        if hope and self.answers == "last":
            self.answer, self.failure = event, None
            self.lose()
        elif hope:
            self.reply(event)

    def failed(self, node: Node, event: Event, error: BaseException, hope: bool) -> None:
        """Note that an event failed for good in a node: log it, tell the error stream, answer if nobody else can."""
        event.error, event.origin_state = error, node.path
        report(self.context, node.path, event, error)
        if self.joints is not None:
            self.joints.fail(node)
        if hope:
            self.fail(Failure(node.path, event, error))

    def fail(self, failure: Failure) -> None:
        """Note a failure of a walk that could have answered."""
        if self.answers == "last":
            self.answer, self.failure = None, failure
        else:
            self.failure = self.failure or failure
        self.lose()

    def branched(self, hopes: int) -> None:
        """Note that a walk that could answer became several, of which so many can."""
        self.hopes += hopes
        self.lose()

    def gathered(self, gathered: Gathered, stream_hope: bool = False) -> bool:
        """Note that the parts of this event go on as one; return whether that one may still reach the responder.

        Parts of which one failed go nowhere: the failure is the answer.
        """
        if gathered.failed:
            if gathered.hopes:
                self.lose(gathered.hopes)
            return False
        if not gathered.tickets and stream_hope:
            self.hopes += 1
            return True
        self.hopes -= max(0, gathered.hopes - 1)
        return gathered.hopes > 0

    def lose(self, hopes: int = 1) -> None:
        """Note that walks can no longer reach the responder."""
        self.hopes -= hopes
        if self.hopes <= 0 and not self.answered:
            self.settle()

    def settle(self) -> None:
        """Let the caller go with what there is; what still runs has no deadline any more: nobody waits for it."""
        self.answered = True
        self.deadline = FOREVER
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def hold(self) -> None:
        """Note that a part of this event waits for other events."""
        self.held += 1

    def release(self) -> None:
        """Note that what a part of this event waited for has been done."""
        self.held -= 1
        if self.held == 0 and self.let_go is not None:
            let_go, self.let_go = self.let_go, None
            let_go()


class Held:
    """A part of an event that waits in a step for other events: its run beside its ticket."""

    __slots__ = ("run", "ticket")

    def __init__(self, run: Run, ticket: Ticket) -> None:
        """Take whose part it is."""
        self.run = run
        self.ticket = ticket

    @property
    def event(self) -> Event:
        """The event as it entered the step."""
        return self.ticket.event


class JointRun(Run):
    """Several events that go on as one, such as a batch; its answer is dealt out to their callers.

    A list as long as the batch is dealt out by position (unless it is ``whole``), an event of the batch itself goes to
    its own caller, and anything else goes whole to each.
    """

    __slots__ = ("_open", "_whole")

    def __init__(self, event: Event, members: list[Held], joints: bool, whole: bool = False) -> None:
        """Take the event that goes on, and those it was made of."""
        first = members[0].run
        hope = any(member.ticket.hope for member in members)
        deadline = max((member.run.deadline for member in members), default=FOREVER)
        super().__init__(event, first.answers if hope else "receipt", deadline, first.context, joints)
        self._open = list(members)
        self._whole = whole

    def reply(self, event: Event) -> None:
        """Answer the one member whose event this is, else every member that has no answer yet."""
        own = self._own(event)
        if own is not None:
            self._open.remove(own)
            _tell(own, event)
        else:
            self._deal(event.body)
        if not self._open and not self.answered:
            self.settle()

    def reply_each(self, events: list[Event]) -> None:
        """Answer each member with its own event, or with the one at its place."""
        if len(events) == len(self._open) > 1 and not any(self._own(event) for event in events):
            events = [self.event.branch([event.body for event in events])]
        super().reply_each(events)

    def _own(self, event: Event) -> Held | None:
        """Return the member whose event this is, or a copy of it."""
        if self._whole:
            return None
        same = next((member for member in self._open if member.event is event), None)
        return same or next((member for member in self._open if member.event.id == event.id), None)

    def settle(self) -> None:
        """Tell the members that got no answer what became of them."""
        super().settle()
        if self.answer is not None:
            self._deal(self.answer.body)
        members, self._open = self._open, []
        for member in members:
            if member.ticket.hope and self.failure is not None:
                member.run.fail(Failure(self.failure.step, member.event, self.failure.error))
            elif member.ticket.hope:
                member.run.lose()

    def _deal(self, body: Any) -> None:
        members, self._open = self._open, []
        by_place = isinstance(body, list) and len(body) == len(members) and not self._whole
        for place, member in enumerate(members):
            own = body[place] if by_place else body if isinstance(body, Response) else copy_body(body)
            _tell(member, member.event.branch(own.body if isinstance(own, Event) else own))


def _tell(member: Held, event: Event) -> None:
    run = member.run
    if not member.ticket.hope:
        return
    if run.answers == "last":
        run.answer, run.failure = event, None
        run.lose()
    else:
        run.reply(event)


def report(context: Context, step: str, event: Event, error: BaseException) -> None:
    """Log one failed event and send its record to the error stream."""
    told = f"{type(error).__name__}: {error}"
    where = f" in step '{step}'" if step else ""
    # What servegraph itself refuses says all there is to say; a traceback is for what went wrong inside a step.
    expected = isinstance(error, EventError) and not isinstance(error, StepError)
    if expected:
        context.logger.warning(f"event {event.id} was refused{where}: {told}")
    else:
        details: dict[str, Any] = {"exc_info": error}
        context.logger.error(f"event {event.id} failed{where}: {told}", **details)
    context.push_error(event, told, source=step)
