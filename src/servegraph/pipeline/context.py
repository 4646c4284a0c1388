"""What the steps of an emitted flow see of it, and how the flow learns of events that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servegraph.context import Context
from servegraph.events import Event


class FlowContext(Context):
    """The context of a running flow, over the one its source was given.

    Errors go to that one's ``push_error`` where it keeps them; otherwise they are the flow's own.
    """

    def __init__(self, given: Any, failed: Callable[[BaseException], None]) -> None:
        """Take the user's context, if any, and what is called with the error of an event that failed for good.

        It may be any object that has some of a context's attributes, such as a ``logger`` or ``push_error``.
        """
        super().__init__(name="flow")
        if given is not None:
            self.__dict__.update(vars(given))
        self._given = given if _keeps_errors(given) else None
        self._failed = failed

    def push_error(self, event: Event, message: str, source: str = "", **details: Any) -> None:
        """Hand an error to whoever takes care of it."""
        if self._given is not None:
            self._given.push_error(event, message, source=source, **details)
        elif event.error is not None:
            self._failed(event.error)


def _keeps_errors(given: Any) -> bool:
    if type(given).__dict__.get("push_error") is not None or not isinstance(given, Context):
        return hasattr(given, "push_error")
    return given.error_sink is not None
