"""Every error of servegraph, told apart by when it happens.

ServegraphError
├── GraphError (ValueError)            while defining or starting: all faults at once, each naming its step
├── EventError (RuntimeError)          while serving: one event failed; carries an HTTP-like ``status_code``
│   ├── BadEvent 400 (ValueError)      what came in cannot be used
│   ├── Forbidden 403                  the server does not do this for a request
│   ├── NotFound 404                   no such model, version, operation or path
│   ├── MethodNotAllowed 405           the path is right, the method is not
│   ├── TooLarge 413                   the body is over the limit
│   ├── Unsupported 501 (NotImplementedError)   the model does not do this
│   ├── NotReady 503                   a model is loading or failed to load, the server is starting or leaving
│   ├── Overloaded 503                 too many events in flight or waiting; ``retry_after`` says when to come back
│   ├── DeadlineExceeded 504 (TimeoutError)     the event's time was used up
│   └── StepError 500                  a step could not do its work
├── ArtifactError (OSError)            a file or model could not be fetched, or is not the one promised
├── MissingExtra (ImportError)         an optional package is needed; the message is the command that installs it
└── ServerError (RuntimeError)         ``server.test`` got an error answer; its cause is the step's exception
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class ServegraphError(Exception):
    """The root of all errors that servegraph raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a graph: where (``step``, empty for the graph itself), what kind, and what to do."""

    step: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"step '{self.step}': {self.message}" if self.step else self.message

    def as_dict(self) -> dict[str, str]:
        """Return the fault as plain data, as ``servegraph check --json`` prints it."""
        return asdict(self)


class GraphError(ServegraphError, ValueError):
    """A graph cannot be built or started; ``faults`` holds everything that was found wrong at once."""

    def __init__(self, faults: str | Fault | Iterable[Fault], step: str = "", code: str = "graph") -> None:
        """Take one message, one fault or all of them."""
        if isinstance(faults, str):
            faults = Fault(step, code, faults)
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__(_numbered(self.faults))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.faults,))


def _numbered(faults: Sequence[Fault]) -> str:
    if len(faults) == 1:
        return str(faults[0])
    lines = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(faults, 1))
    return f"the graph has {len(faults)} faults:\n{lines}"


class EventError(ServegraphError, RuntimeError):
    """One event failed; ``status_code`` is what its caller gets."""

    status_code: int = 500
    retry_after: float | None = None


class BadEvent(EventError, ValueError):
    """What came in cannot be used; the caller has to change it."""

    status_code = 400


class Forbidden(EventError):
    """The server does not do this for a request, because nobody switched it on."""

    status_code = 403


class NotFound(EventError):
    """There is no such model, version, operation or path."""

    status_code = 404


class MethodNotAllowed(EventError):
    """The path exists, but not with this method."""

    status_code = 405


class TooLarge(EventError):
    """The body is larger than the server takes."""

    status_code = 413


class Unsupported(EventError, NotImplementedError):
    """The model or step does not offer this operation."""

    status_code = 501


class NotReady(EventError):
    """A model is still loading or failed to load, or the server is starting or leaving."""

    status_code = 503

    def __init__(self, message: str, retry_after: float | None = 1.0) -> None:
        """Say what is not ready, and after how many seconds to ask again (``None``: no use in asking)."""
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(EventError):
    """Too many events are in flight or waiting."""

    status_code = 503

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        """Say what is full, and after how many seconds to come back."""
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineExceeded(EventError, TimeoutError):
    """The time an event (or one of its steps) had is used up."""

    status_code = 504


class StepError(EventError):
    """A step could not do its work; the step's own exception is the cause where there is one."""


class ArtifactError(ServegraphError, OSError):
    """A file or model could not be fetched, or is not the one that was promised."""


class MissingExtra(ServegraphError, ImportError):
    """An optional package is needed that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """Say what needs the package, and which extra of servegraph brings it."""
        super().__init__(f'{what} needs an optional package; install it with: pip install "servegraph[{extra}]"')
        self._given = (what, extra)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self._given)


class ServerError(ServegraphError, RuntimeError):
    """A server answered with an error; ``status_code`` and ``body`` hold it, the cause is what a step raised."""

    def __init__(self, status_code: int, body: Any) -> None:
        """Take the answer as the server gave it."""
        message = body.get("error", body) if isinstance(body, dict) else body
        super().__init__(f"failed ({status_code}): {message}")
        self.status_code = status_code
        self.body = body

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.status_code, self.body))


def status_of(error: BaseException) -> int:
    """Return the status an exception stands for: its own ``status_code`` when that is 400 to 599, else 500."""
    code = getattr(error, "status_code", None)
    return code if isinstance(code, int) and 400 <= code <= 599 else 500


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name nearest to a wrong one, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
