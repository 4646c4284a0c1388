"""From what a program emits to an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from servegraph.events import Event

KeyField: TypeAlias = str | int | Sequence[str | int] | None
"""Where in a body its key is: a field, or several for a list of values."""

# Marks a body that was written as a whole event, to come back as one.
_WHOLE: Final = "full_event_wrapper"
_KEPT: Final = ("key", "id", "path", "method", "headers", "content_type")


def event_of(element: Any, key: Any = None, key_field: KeyField = None) -> Event:
    """Return the event of a body, or one like an event that was emitted, whose body it shares.

    Anything that has ``id`` and ``body`` is taken for an event. A ``key`` counts before the body's, which is taken
    from ``key_field`` of a dict or list body; raises KeyError where there is none.
    """
    if isinstance(element, Event):
        event = element.branch(element.body)
    elif hasattr(element, "id") and hasattr(element, "body"):
        event = Event(element.body, **{name: value for name in _KEPT if (value := getattr(element, name, None))})
    else:
        event = Event(element)
    event.deadline = float("inf")
    if type(event.body) is dict and event.body.get(_WHOLE):
        _unwrap(event)
    if key is not None:
        event.key = key
    elif key_field is not None and isinstance(event.body, dict | list):
        event.key = key_of(event.body, key_field)
    return event


def key_of(body: Any, key_field: KeyField) -> Any:
    """Return the key of a dict or list body, a list where there are several fields."""
    if isinstance(key_field, str | int):
        return _field(body, key_field)
    return [_field(body, each) for each in key_field or ()]


def _field(body: Any, field: str | int) -> Any:
    try:
        return body[field]
    except (KeyError, IndexError, TypeError):
        there = ", ".join(map(str, body)) if isinstance(body, dict) else f"a list of {len(body)}"
        raise KeyError(f"the body has no key field {field!r}: it has {there}") from None


def _unwrap(event: Event) -> None:
    wrapped = event.body
    event.body = wrapped.get("body")
    event.key = wrapped.get("key", event.key)
    event.id = wrapped.get("id") or event.id
