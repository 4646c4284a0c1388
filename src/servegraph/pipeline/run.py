"""One emitted event on its way: the results its caller expects, and whom to tell when they are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servegraph.context import Context
from servegraph.engine.run import FOREVER, Answers, Run
from servegraph.events import Event
from servegraph.pipeline.window import Window


class EmittedRun(Run):
    """A run that gathers as many results as its caller expects; it ends with fewer where no more can come."""

    __slots__ = ("_expected", "_told", "_window", "results")

    def __init__(
        self,
        event: Event,
        answers: Answers,
        context: Context,
        joints: bool,
        window: Window,
        expected: int,
        told: Callable[[EmittedRun], None],
    ) -> None:
        """Take how many results are expected, and what is called once they are there."""
        super().__init__(event, answers, FOREVER, context, joints)
        self.results: list[Any] = []
        self._expected = expected
        self._told = told
        self._window = window

    def reply(self, event: Event) -> None:
        """Keep one more result."""
        if self.answered:
            return
        self.results.append(event.body)
        if len(self.results) == self._expected:
            self.settle()
        else:
            self.lose()

    def settle(self) -> None:
        """Tell the caller."""
        super().settle()
        self._told(self)

    def hold(self) -> None:
        """Give the place back while the event waits in a step for others."""
        if not self.held:
            self._window.park()
        super().hold()

    def release(self) -> None:
        """Go on without a place."""
        if self.held == 1:
            self._window.resume()
        super().release()
        if not self.held:
            self.let_go = None  # it refers to this run: nothing shall wait for a garbage collection

    def outcome(self) -> Any:
        """Return the result (a list where several are expected, None where there is none) or raise what failed."""
        if self.failure is not None and len(self.results) < self._expected:
            raise self.failure.error
        if self._expected == 1:
            return self.results[0] if self.results else None
        return self.results
