"""``storey.Event``: makes events with the arguments, and their order, that storey's users know."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from servegraph import events


class _AnyEvent(type):
    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, events.Event)


class Event(metaclass=_AnyEvent):
    """Makes a ``servegraph.Event``; every event is an instance of this class, too."""

    def __new__(  # type: ignore[misc]  # what is made is of the engine's own class, which it tells by type
        cls,
        body: Any = None,
        key: Any = None,
        processing_time: datetime.datetime | float | str | None = None,
        id: str | None = None,
        headers: Mapping[str, Any] | None = None,
        method: str | None = None,
        path: str = "/",
        content_type: str | None = None,
    ) -> events.Event:
        """Make an event; ``processing_time`` becomes its ``time``.

        It is a moment (of UTC where it names no zone), ISO text or seconds since 1970.
        """
        if isinstance(processing_time, str):
            processing_time = datetime.datetime.fromisoformat(processing_time)
        if isinstance(processing_time, datetime.datetime) and processing_time.tzinfo is None:
            processing_time = processing_time.replace(tzinfo=datetime.UTC)
        return events.Event(body, key, id, path, method or "POST", headers, content_type or "", time=processing_time)
