"""What a step, a router and an observer look like to the engine; nobody needs to inherit from these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from servegraph.events import Event, Response


class Step(Protocol):
    """A step that works on bodies: what ``do`` returns is the new body. It may be sync or async.

    A class may offer ``do_event(event) -> event`` instead, to see the whole event. Optional hooks, called when present:
    ``post_init(mode)`` once after construction, ``close()`` when the server stops,
    ``select_outlets(body) -> names`` to choose which of the following steps an event goes to.
    """

    def do(self, body: Any, /) -> Any:
        """Return the new body for one event."""
        ...


@runtime_checkable
class Router(Protocol):
    """A step with named routes: the engine runs those that ``select`` names, then asks ``merge`` for the answer.

    Both may be ``async``. Each of several routes gets a branch of the event; a single one gets the event itself, as
    ``select`` left it (its ``path`` is then what the route should see).
    """

    def attach(self, routes: Mapping[str, object]) -> None:
        """Take a live, read-only view of the routes: name to the object behind it (a model, a step's instance)."""
        ...

    def select(self, event: Event, /) -> Any:
        """Return the name of a route, a list of names, or an Event or Response that already is the answer."""
        ...

    def merge(self, event: Event, answers: Mapping[str, Any], /) -> Any:
        """Return the answering event, given each route's event (or the exception it failed with) by name."""
        ...


class Joint(Protocol):
    """A step where the parts of one event meet: it is asked once no other part can come."""

    def join(self, event: Event, parts: Sequence[Event], /) -> Any:
        """Return the event that goes on, given the parts in the order of ``after`` (empty for an empty stream)."""
        ...


class Held(Protocol):
    """An event that a step holds; its caller waits for what becomes of it."""

    @property
    def event(self) -> Event:
        """The event as it entered the step."""
        ...


class Emit(Protocol):
    """Lets an event go on that is made of events held so far; call it on the event loop."""

    def __call__(
        self, event: Event, held: Sequence[Any], /, *, whole: bool = False, error: Exception | None = None
    ) -> None:
        """Go on; the answer is dealt out to the callers of those held, by position where it is a list as long.

        With ``whole`` every caller gets all of it. With ``error`` the step has failed with it for all those held.
        """
        ...


class Holder(Protocol):
    """A step that keeps events until others have come, or time has passed. All its methods run on the event loop."""

    def start(self, emit: Emit, /) -> None:
        """Take what lets events go on."""
        ...

    def take(self, held: Any, /) -> None:
        """Hold one event (see Held)."""
        ...

    def flush(self) -> None:
        """Let everything go on that is still held: no more events come for now."""
        ...


class Lookup(Protocol):
    """Finds an object by the name a graph gives it."""

    def __call__(self, name: str, /) -> Any:
        """Return the object; raises LookupError where there is none."""
        ...


class ErrorSink(Protocol):
    """Takes the record of each event that failed for good."""

    def push(self, record: dict[str, Any], /) -> None:
        """Keep one record; must not raise and must not block for long."""
        ...


class Observer(Protocol):
    """Is told what happens to events; must be quick."""

    def answered(self, event: Event, response: Response, seconds: float, /) -> None:
        """One event was answered."""
        ...


class RouteControl(Protocol):
    """Changes the routes of a running graph; every call returns once the change is in force."""

    def add(self, name: str, **options: Any) -> None:
        """Add (or replace) a route: ``class_name``, ``model_path`` and class arguments as for ``add_model``."""
        ...

    def remove(self, name: str) -> None:
        """Take a route away; events already in it finish."""
        ...

    def reload(self, name: str) -> None:
        """Build and load a route's object again from its path, then swap it in."""
        ...

    def names(self) -> Sequence[str]:
        """Return the routes there are now."""
        ...
