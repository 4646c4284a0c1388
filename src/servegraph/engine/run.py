"""What is known of one event on its way through a plan: until when, who can still answer it, and with what."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal, TypeAlias

from servegraph.context import Context
from servegraph.engine.node import Node
from servegraph.errors import EventError, status_of
from servegraph.events import Event

Answers: TypeAlias = Literal["responder", "last", "receipt"]
"""Who answers: the responder, the step that ends last (sync engine without responder), nobody (a receipt)."""

FOREVER: Final = float("inf")


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

    ``hopes`` counts the walks that can still reach the responder. When the last of them ends without an answer, the
    answer is the failure that stopped it, or empty.
    """

    __slots__ = ("answer", "answered", "answers", "at", "context", "deadline", "event", "failure", "hopes", "waiter")

    def __init__(self, event: Event, answers: Answers, deadline: float, context: Context) -> None:
        """Start with one hope: the walk from the start of the graph."""
        self.event = event
        self.answers: Answers = answers
        self.deadline = deadline
        self.context = context
        self.answer: Event | None = None
        self.failure: Failure | None = None
        self.answered = False
        self.hopes = 1
        self.at: Node | None = None
        self.waiter: asyncio.Future[None] | None = None

    def reply(self, event: Event) -> None:
        """Answer the caller with the event that left the responder; the first answer counts."""
        if not self.answered:
            self.answer = event
            self.settle()

    def ended(self, node: Node, event: Event | None, hope: bool) -> None:
        """Note that a walk came to its end; ``event`` is None where a step dropped it."""
        if self.answers == "last":
            if event is not None:
                self.answer, self.failure = event, None
        elif hope:
            if event is not None and node.catches:
                self.reply(event)
            else:
                self.lose()

    def stopped(self, event: Event, hope: bool) -> None:
        """Note that a step answered for the rest of the graph, by setting ``event.terminated``."""
        if self.answers == "last":
            self.answer, self.failure = event, None
        elif hope:
            self.reply(event)

    def failed(self, node: Node, event: Event, error: BaseException, hope: bool) -> None:
        """Note that an event failed for good in a node: log it, tell the error stream, answer if nobody else can."""
        event.error, event.origin_state = error, node.path
        report(self.context, node.path, event, error)
        if self.answers == "last":
            self.answer, self.failure = None, Failure(node.path, event, error)
        elif hope:
            self.failure = self.failure or Failure(node.path, event, error)
            self.lose()

    def branched(self, hope: bool, hopes: int) -> None:
        """Note that one walk became several, of which some can reach the responder."""
        if hope:
            self.hopes += hopes
            self.lose()

    def lose(self) -> None:
        """Note that a walk can no longer reach the responder."""
        self.hopes -= 1
        if self.hopes == 0:
            self.settle()

    def settle(self) -> None:
        """Let the caller go with what there is; what still runs has no deadline any more: nobody waits for it."""
        self.answered = True
        self.deadline = FOREVER
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


def report(context: Context, step: str, event: Event, error: BaseException) -> None:
    """Log one failed event and send its record to the error stream."""
    told = f"{type(error).__name__}: {error}"
    expected = isinstance(error, EventError) and status_of(error) < 500
    if expected:
        context.logger.warning(f"event {event.id} was refused in step '{step}': {told}")
    else:
        details: dict[str, Any] = {"exc_info": error}
        context.logger.error(f"event {event.id} failed in step '{step}': {told}", **details)
    context.push_error(event, told, source=step)
