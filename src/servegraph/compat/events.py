"""``MockEvent`` and ``Response`` with the arguments, and their order, that MLRun's users know."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from servegraph import events


class _AnyEvent(type):
    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, events.Event)


class MockEvent(metaclass=_AnyEvent):
    """Makes a ``servegraph.Event``; every event is an instance of this class, too."""

    def __new__(  # type: ignore[misc]  # what is made is of the engine's own class, which it tells by type
        cls,
        body: Any = None,
        content_type: str | None = None,
        headers: Mapping[str, Any] | None = None,
        method: str | None = None,
        path: str | None = None,
        event_id: str | None = None,
        trigger: events.Trigger | None = None,
        offset: int | None = None,
        time: datetime.datetime | float | None = None,
    ) -> events.Event:
        """Make an event as it would come in at a server."""
        event = events.Event(
            body, None, event_id, path or "/", method or ("GET" if body is None else "POST"), headers,
            content_type or "", time, trigger or events.MOCK,
        )  # fmt: skip
        if offset is not None:
            event.__dict__["offset"] = offset
        return event


class Response(events.Response):
    """An answer with a status and headers of its own."""

    __slots__ = ()

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str | None = None,
        status_code: int = 200,
    ) -> None:
        """Make an answer; without ``content_type`` the door chooses it by the body's type."""
        super().__init__(body, status_code, headers, content_type or "")
