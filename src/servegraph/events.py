"""What travels through a graph: an event on its way in, a response on its way out."""

from __future__ import annotations

import datetime
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from servegraph.bodies import copy_body


class Headers(dict[str, str]):
    """Headers by name, in any letter case; names are kept in lower case, as HTTP/2 writes them."""

    __slots__ = ()

    def __init__(self, headers: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        """Take names and values from a mapping or from pairs; the last of a name wins."""
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        super().__init__((name.lower(), str(value)) for name, value in pairs)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name.lower(), value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or the default."""
        return super().get(name.lower(), default)

    def copy(self) -> Headers:
        """Return headers of their own."""
        new = Headers()
        dict.update(new, self)
        return new


class Trigger:
    """What brought an event in: its kind (``http``, ``grpc``, ``kafka``, ``mock`` ...) and its name."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str = "", name: str = "") -> None:
        """Name the kind of door and, where there are several, which one."""
        self.kind = kind
        self.name = name

    def __repr__(self) -> str:
        return f"Trigger(kind={self.kind!r}, name={self.name!r})"


MOCK: Final = Trigger("mock")


class Event:
    """What travels through a graph; a step with ``full_event`` gets it whole, others get its ``body``.

    ``error`` (an exception) and ``origin_state`` (a step's name) are set on the way to an error handler.
    ``deadline`` is the ``time.monotonic()`` at which the caller stops waiting, 0 where none is set yet. Other
    attributes may be added freely.
    """

    # An event is made for every request: what most of them never ask for (id, headers, time) is made when asked for.
    __slots__ = (
        "__dict__", "_headers", "_id", "_time", "body", "content_type", "deadline", "key", "method", "path", "trigger",
    )  # fmt: skip

    error: BaseException | None = None
    origin_state: str | None = None
    terminated: bool = False

    def __init__(
        self,
        body: Any = None,
        key: Any = None,
        id: str | None = None,
        path: str = "/",
        method: str = "POST",
        headers: Mapping[str, Any] | None = None,
        content_type: str = "",
        time: datetime.datetime | float | None = None,
        trigger: Trigger = MOCK,
        deadline: float = 0.0,
    ) -> None:
        """Make an event; an ``id`` is made where none is given, ``time`` is now (seconds since 1970 or aware)."""
        self.body = body
        self.key = key
        self._id = id
        self.path = path
        self.method = method
        self._headers = headers
        self.content_type = content_type
        self._time = time
        self.trigger = trigger
        self.deadline = deadline

    @property
    def id(self) -> str:
        """What names this event in answers, logs, records and other functions."""
        name = self._id
        if not name:
            self._id = name = new_id()
        return name

    @id.setter
    def id(self, name: str) -> None:
        self._id = name

    @property
    def headers(self) -> Headers:
        """The headers it came with, by name in any letter case."""
        headers = self._headers
        if type(headers) is not Headers:
            self._headers = headers = Headers(headers or ())
        return headers

    @headers.setter
    def headers(self, headers: Mapping[str, Any]) -> None:
        self._headers = headers

    @property
    def time(self) -> datetime.datetime:
        """When the event came in (UTC)."""
        moment = self._time
        if moment is None:
            self._time = moment = datetime.datetime.now(datetime.UTC)
        elif not isinstance(moment, datetime.datetime):
            self._time = moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
        return moment

    @time.setter
    def time(self, moment: datetime.datetime | float) -> None:
        self._time = moment

    def branch(self, body: Any) -> Event:
        """Return another event with all that this one carries, and a body of its own."""
        headers = Headers(self._headers) if self._headers else None
        new = Event(
            body, self.key, self.id, self.path, self.method, headers, self.content_type, self._time, self.trigger,
            self.deadline,
        )  # fmt: skip
        if self.__dict__:
            new.__dict__.update(self.__dict__)
        return new

    def copy(self) -> Event:
        """Return an event whose body shares nothing with this one's that could be changed."""
        return self.branch(copy_body(self.body))

    def __repr__(self) -> str:
        failed = f", error={self.error!r}" if self.error is not None else ""
        return f"Event(id={self.id!r}, body={_short(self.body)}, method={self.method}, path={self.path!r}{failed})"


def _short(body: Any, limit: int = 200) -> str:
    text = repr(body)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


class Response:
    """An answer with a status and headers of its own; a step may return one to decide what its caller gets."""

    __slots__ = ("body", "content_type", "error", "headers", "status_code")

    def __init__(
        self,
        body: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = "",
    ) -> None:
        """Make an answer; without ``content_type`` the door chooses it by the body's type."""
        self.body = body
        self.status_code = status_code
        self.headers: dict[str, str] = dict(headers) if headers else {}
        self.content_type = content_type
        self.error: BaseException | None = None

    def __repr__(self) -> str:
        return f"Response(status_code={self.status_code}, body={_short(self.body)})"


class _Drop:
    """The type of DROP."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DROP"


DROP: Final = _Drop()
"""What a step returns for an event that goes no further."""


class Many:
    """What a step returns when one event becomes several, each going on by itself."""

    __slots__ = ("events",)

    def __init__(self, events: Iterable[Event]) -> None:
        """Take the events in the order in which they go on."""
        self.events = list(events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)


def _fresh_prefix() -> str:
    return os.urandom(10).hex()


_prefix = _fresh_prefix()
_counter = itertools.count(int(time.time() * 1000) & 0xFFFFFF)


def new_id() -> str:
    """Return an id of 32 hexadecimal digits that no other event has, here or in another process."""
    return f"{_prefix}{next(_counter):012x}"


def _reseed() -> None:
    global _prefix
    _prefix = _fresh_prefix()


os.register_at_fork(after_in_child=_reseed)
