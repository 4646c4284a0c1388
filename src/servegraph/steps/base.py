"""What the steps of the library share: the options they all take, and how they see and fill part of an event."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Final, TypedDict, Unpack

from servegraph.bodies import get_path, set_path, split_path
from servegraph.context import Context
from servegraph.errors import nearest
from servegraph.events import Event
from servegraph.steps.linking import Linked


class Options(TypedDict, total=False):
    """What every step of the library takes besides its own arguments."""

    name: str
    context: Context | None
    full_event: bool | None
    input_path: str | None
    result_path: str | None
    max_iterations: int | None
    recovery_step: Any


_OPTIONS: Final = tuple(Options.__annotations__)
_TAKEN: Final = f"Unpack[{Options.__name__}]"

keys_of = functools.lru_cache(maxsize=1024)(split_path)
"""``split_path``, remembered: a step's path is looked up for every event."""


class StepBase(Linked):
    """The base of the library's steps; the engine applies ``input_path`` and ``result_path`` around ``do`` only.

    ``calls_may_overlap`` says that the step keeps nothing between events, so that many may be in it at once.
    """

    __signature__: ClassVar[inspect.Signature | None]

    # Also for steps of users whose constructor does not call this one.
    name: str = ""
    context: Context | None = None
    full_event: bool | None = None
    input_path: str | None = None
    result_path: str | None = None
    max_iterations: int | None = None
    calls_may_overlap: bool = False

    def __init__(self, **options: Unpack[Options]) -> None:
        """Take what every step takes; raises TypeError for anything else, with the nearest name."""
        for key, value in options.items():
            if key not in _OPTIONS:
                known = [each for each in inspect.signature(type(self)).parameters if each != "kwargs"]
                told = f"{type(self).__name__} has no argument '{key}'"
                raise TypeError(f"{told}{nearest(key, [*known, *_OPTIONS])}")
            if key != "recovery_step":
                setattr(self, key, value)
            elif value is not None:
                self.set_recovery_step(value)

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "__init__" in vars(cls):
            cls.__signature__ = _spelled_out(cls.__init__)

    def value(self, event: Event) -> Any:
        """Return the part of an event's body that the step works on."""
        path = self.input_path
        return get_path(event.body, keys_of(path)) if path else event.body

    def seen(self, event: Event) -> Any:
        """Return what a user's function sees of an event: all of it, or the part of its body."""
        return event if self.full_event else self.value(event)

    def put(self, event: Event, value: Any) -> Event:
        """Make a value the event's body, or part of it where there is a ``result_path``."""
        path = self.result_path
        event.body = set_path(event.body, keys_of(path), value) if path else value
        return event


def _spelled_out(init: Callable[..., None]) -> inspect.Signature | None:
    """Return a constructor's signature with its ``**options: Unpack[Options]`` as single arguments.

    So that a wrong keyword is found when a graph is checked, before anything is built; ``None`` where a class of a
    user takes other keywords.
    """
    signature = inspect.signature(init)
    own = list(signature.parameters.values())[1:]
    if not own or own[-1].kind is not inspect.Parameter.VAR_KEYWORD or own[-1].annotation != _TAKEN:
        return None
    options = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None) for key in _OPTIONS]
    return signature.replace(parameters=[*own[:-1], *options])


StepBase.__signature__ = _spelled_out(StepBase.__init__)


def checked(function: Any, what: str) -> Callable[..., Any]:
    """Return the function as it is; raises TypeError naming what needed one."""
    if not callable(function):
        raise TypeError(f"{what} must be a function, not {type(function).__name__}")
    found: Callable[..., Any] = function
    return found


def awaits(function: Any) -> bool:
    """Return whether a call of this is to be awaited: coroutine functions, also wrapped or as ``__call__``."""
    function = inspect.unwrap(function)
    called = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def is_free(function: Any) -> bool:
    """Return whether calls of a function may overlap: it is no method of an instance that might keep something."""
    owner = getattr(function, "__self__", None)
    return owner is None or isinstance(owner, ModuleType | type)


def with_context(step: StepBase, function: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return the function with ``context=`` filled in: the step's, as it is when an event comes."""

    @functools.wraps(function)
    def call(seen: Any) -> Any:
        return function(seen, context=step.context)

    return call
