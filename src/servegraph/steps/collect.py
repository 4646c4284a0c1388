"""Steps where ways meet: Gather passes everything on, Collector makes a list of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from servegraph.events import Event
from servegraph.steps.base import Options, StepBase


class Gather(StepBase):
    """Passes on every event that arrives: where branches meet again without being joined into one event."""

    QUICK = True

    def do(self, body: Any) -> Any:
        """Return the body as it is."""
        return body


class Collector(StepBase):
    """Gathers what became of one event, such as the chunks of a stream, into one event with a list of their bodies.

    It is always a list: of one where there was one, empty for an empty stream.
    """

    def __init__(self, expected_completions: int = 1, **options: Unpack[Options]) -> None:
        """Take nothing that matters: how many streams end here is counted, whatever ``expected_completions`` says."""
        super().__init__(**options)
        if type(expected_completions) is not int or expected_completions < 1:
            raise ValueError(f"expected_completions must be a whole number of at least 1, not {expected_completions!r}")
        self.expected_completions = expected_completions

    def join(self, event: Event, parts: Sequence[Event]) -> Event:
        """Return one event with the list of what the parts carry (with ``full_event``, of the parts)."""
        gathered = event.branch(event.body if self.result_path else None)
        return self.put(gathered, [self.seen(part) for part in parts])
