"""RowStep: the base of steps that work on the fields of a dict body, or of each dict in a list."""

from __future__ import annotations

from typing import Any, TypeAlias

from servegraph.errors import BadEvent
from servegraph.events import Event
from servegraph.steps.base import StepBase

Row: TypeAlias = dict[str, Any]


class RowStep(StepBase):
    """Replaces a dict body by what ``row`` makes of it, a list of dicts by the list of those."""

    def do(self, body: Any) -> Any:
        """Return the new body; an event (``full_event``) is returned with its new body."""
        if isinstance(body, dict):
            return self.row(body)
        if isinstance(body, list | tuple):
            return [self.do(row) for row in body]
        if isinstance(body, Event):
            return self.put(body, self.do(self.value(body)))
        raise BadEvent(f"{type(self).__name__} needs a dict or a list of dicts, not {type(body).__name__}")

    def row(self, row: Row) -> Row:
        """Return a new dict for one; must leave the old one as it is."""
        raise TypeError(f"{type(self).__name__} must define row(self, row)")


def is_missing(value: Any) -> bool:
    """Return whether a value is None or not a number (NaN)."""
    return value is None or bool(value != value)
