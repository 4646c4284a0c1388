"""Steps that choose where an event goes: Choice, ChoiceByField; Partition, which chooses a side of the body."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from servegraph.bodies import get_path, split_path
from servegraph.errors import BadEvent
from servegraph.events import Event
from servegraph.steps.base import Options, StepBase, awaits, checked, is_free


class Choice(StepBase):
    """The base of steps that choose: override ``select_outlets(body)`` to return the names of the next steps."""

    def __init__(self, **options: Unpack[Options]) -> None:
        """Take what every step takes; with ``input_path`` the choice is made by that part of the body."""
        super().__init__(**options)
        if self.result_path:
            raise ValueError(f"{type(self).__name__} passes on the body as it is: a result_path has nothing to write")
        if self.input_path and not self.full_event:
            self.do_event = _same
            self.select_outlets = self._by_part(self.select_outlets)  # type: ignore[assignment, method-assign]

    def do(self, body: Any) -> Any:
        """Return the body as it is."""
        return body

    def select_outlets(self, body: Any) -> Any:
        """Return the name of the next step, a list of names, ``None`` for all of them, ``[]`` to drop the event."""
        raise TypeError(f"{type(self).__name__} must define select_outlets(self, body)")

    def _by_part(self, select: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(select)
        def select_outlets(event: Event) -> Any:
            return select(self.value(event))

        return select_outlets


class ChoiceByField(Choice):
    """Sends an event to the steps that a field of its body names: one name or a list, empty for none."""

    QUICK = True

    def __init__(self, field_name: str, **options: Unpack[Options]) -> None:
        """Take the field's name, or its path (``"a.b"``)."""
        super().__init__(**options)
        self.field_name = field_name
        self._path = split_path(field_name)

    def select_outlets(self, body: Any) -> Any:
        """Return what the field says; raises BadEvent where it says nothing that could be the name of a step."""
        if isinstance(body, Event):
            body = body.body
        if not isinstance(body, dict):
            raise BadEvent(f"the choice is by field '{self.field_name}', so it needs a dict, not {type(body).__name__}")
        chosen = get_path(body, self._path)
        names = [chosen] if isinstance(chosen, str) else chosen
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            told = "is missing" if chosen is None else f"is {type(chosen).__name__}, not a name or a list of names"
            raise BadEvent(f"the choice is by field '{self.field_name}', which {told}")
        return list(names)


class Partitioned(NamedTuple):
    """A body on the side it belongs to; the other side is ``None``."""

    left: Any
    right: Any


class Partition(StepBase):
    """Puts the body on the left side of a pair where ``predicate(event)`` is true, else on the right."""

    def __init__(self, predicate: Callable[[Any], Any], **options: Unpack[Options]) -> None:
        """Take the predicate, sync or async; it is given the event, with ``full_event=False`` the body."""
        super().__init__(**options)
        self.predicate = checked(predicate, "the predicate of Partition")
        self.calls_may_overlap = is_free(predicate)

    @property
    def do_event(self) -> Callable[[Event], Any]:
        """What asks the predicate and parts the body."""
        return self._awaited if awaits(self.predicate) else self._called

    def seen(self, event: Event) -> Any:
        """Return what the predicate sees of an event."""
        return event if self.full_event in (None, True) and not self.input_path else self.value(event)

    def _called(self, event: Event) -> Event:
        return self._parted(event, self.predicate(self.seen(event)))

    async def _awaited(self, event: Event) -> Event:
        return self._parted(event, await self.predicate(self.seen(event)))

    def _parted(self, event: Event, is_left: Any) -> Event:
        value = self.value(event)
        return self.put(event, Partitioned(value, None) if is_left else Partitioned(None, value))


def _same(event: Event) -> Event:
    return event
