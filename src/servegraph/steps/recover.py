"""Recover chooses where a failed event goes on; Complete marks where a flow answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from servegraph.events import Event
from servegraph.steps.base import Options, StepBase

_Outlet: TypeAlias = str | Sequence[str]


class Recover(StepBase):
    """An error handler that sends each event to the step which is for its kind of error.

    The kind is an exception class or its name, and stands for its subclasses, too: the closest counts. An error that
    is of no kind is raised again. An event that has not failed goes to all other steps after this one.
    """

    QUICK = True

    def __init__(
        self, exception_to_downstream: Mapping[type[BaseException] | str, _Outlet], **options: Unpack[Options]
    ) -> None:
        """Take for each kind of error the name of the step, or the names, where its events go on."""
        super().__init__(**options)
        self.exception_to_downstream = dict(exception_to_downstream)
        self._ways = {
            kind if isinstance(kind, str) else kind.__name__: way for kind, way in self.exception_to_downstream.items()
        }

    def do_event(self, event: Event) -> Event:
        """Return the event as it is; raises its error where that is of no kind known here."""
        if event.error is not None and self._way(event.error) is None:
            raise event.error
        return event

    def select_outlets(self, event: Event) -> Any:
        """Return the names of the steps that are for the event's error."""
        return None if event.error is None else self._way(event.error)

    def _way(self, error: BaseException) -> _Outlet | None:
        kinds = (kind.__name__ for kind in type(error).__mro__)
        return next((self._ways[kind] for kind in kinds if kind in self._ways), None)


class Complete(StepBase):
    """Passes on the event as it is: where a flow of the streaming API answers; in a graph, ``respond()`` does."""

    QUICK = True
    COMPLETES = True

    def do(self, body: Any) -> Any:
        """Return the body as it is."""
        return body
