"""Steps that name and drop fields, or move them between an event's body and the event itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Unpack

from servegraph.bodies import copy_body, get_path, split_path
from servegraph.errors import BadEvent, nearest
from servegraph.events import Event
from servegraph.steps.base import Options, StepBase
from servegraph.steps.rows import Row, RowStep


class Rename(RowStep):
    """Gives fields new names; a field that is not there is left out."""

    QUICK = True

    def __init__(self, mapping: Mapping[str, str], **options: Unpack[Options]) -> None:
        """Take old names and new ones."""
        super().__init__(**options)
        self.mapping = dict(mapping)

    def row(self, row: Row) -> Row:
        """Return the row under its new names; the fields that are renamed come last."""
        new = {name: value for name, value in row.items() if name not in self.mapping}
        new.update((self.mapping[name], value) for name, value in row.items() if name in self.mapping)
        return new


class DropColumns(RowStep):
    """Takes fields away; one that is not there does not matter."""

    QUICK = True

    def __init__(self, columns: str | Iterable[str], **options: Unpack[Options]) -> None:
        """Take a name or several."""
        super().__init__(**options)
        self.columns = [columns] if isinstance(columns, str) else list(columns)
        self._dropped = frozenset(self.columns)

    def row(self, row: Row) -> Row:
        """Return the row without the columns."""
        return {name: value for name, value in row.items() if name not in self._dropped}


class DropFeatures(RowStep):
    """Takes features away; raises BadEvent where one is not there."""

    QUICK = True

    def __init__(self, features: str | Iterable[str], **options: Unpack[Options]) -> None:
        """Take a name or several."""
        super().__init__(**options)
        self.features = [features] if isinstance(features, str) else list(features)
        self._dropped = frozenset(self.features)

    def row(self, row: Row) -> Row:
        """Return the row without the features."""
        for name in self.features:
            if name not in row:
                raise BadEvent(f"there is no feature '{name}' to drop{nearest(name, map(str, row))}")
        return {name: value for name, value in row.items() if name not in self._dropped}


_ATTRIBUTES: Final = ("id", "key", "time", "path", "method", "content_type", "headers")


class ReifyMetadata(StepBase):
    """Copies attributes of the event (``key``, ``id``, ``time`` ...) into the body."""

    QUICK = True

    def __init__(self, mapping: Mapping[str, str] | Iterable[str], **options: Unpack[Options]) -> None:
        """Take attributes and the fields they go to, or attributes that go to fields of their names."""
        super().__init__(**options)
        self.mapping = dict(mapping) if isinstance(mapping, Mapping) else {name: name for name in mapping}

    def do_event(self, event: Event) -> Event:
        """Add the attributes to the body, or to the dict at ``result_path``."""
        found = {field: self._read(event, name) for name, field in self.mapping.items()}
        body = get_path(event.body, split_path(self.result_path))
        if body is not None and not isinstance(body, dict):
            raise BadEvent(f"ReifyMetadata needs a dict to add to, not {type(body).__name__}")
        return self.put(event, {**(body or {}), **found})

    def _read(self, event: Event, name: str) -> Any:
        try:
            return copy_body(getattr(event, name))
        except AttributeError:
            known = [*_ATTRIBUTES, *vars(event)]
            raise BadEvent(f"the event has no attribute '{name}'{nearest(name, known)}") from None


class SetEventMetadata(StepBase):
    """Sets the event's id and key, as text, to what its body says."""

    QUICK = True

    def __init__(
        self,
        id_path: str | None = None,
        key_path: str | None = None,
        random_id: bool | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the paths of the id and the key inside the body (``"a.b"``); ``random_id`` makes an id of its own."""
        super().__init__(**options)
        if self.result_path:
            raise ValueError("SetEventMetadata changes the event, not its body: a result_path has nothing to write")
        self.id_path = id_path
        self.key_path = key_path
        self.random_id = random_id

    def do_event(self, event: Event) -> Event:
        """Set what was asked for; raises BadEvent where the body says nothing."""
        if self.random_id:
            event.id = uuid.uuid4().hex
        elif self.id_path:
            event.id = self._read(event, "id", self.id_path)
        if self.key_path:
            event.key = self._read(event, "key", self.key_path)
        return event

    def _read(self, event: Event, what: str, path: str) -> str:
        body = self.value(event)
        value = get_path(body, split_path(path)) if isinstance(body, dict) else None
        if value is None:
            raise BadEvent(f"the event's {what} should be at '{path}', but the body has nothing there")
        return str(value)
