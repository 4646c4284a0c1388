"""MapClass: the base of steps that are written as a class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from types import CoroutineType
from typing import Any, Final, Unpack

from servegraph.events import DROP
from servegraph.steps.base import Options, StepBase


class _Call:
    """One call of a step's ``do``: whether it said ``self.filter()``."""

    __slots__ = ("dropped", "step")

    def __init__(self, step: MapClass) -> None:
        self.step = step
        self.dropped = False


# Every thread and task has its own, so that calls which overlap do not see each other's.
_current: Final[ContextVar[_Call | None]] = ContextVar("servegraph_step_call", default=None)


class MapClass(StepBase):
    """The base of steps written as a class: override ``do``; ``self.filter()`` inside it drops the event."""

    def __init__(self, *, long_running: bool | None = None, **options: Unpack[Options]) -> None:
        """Take what every step takes; ``long_running`` changes nothing: what blocks runs in a worker thread anyway."""
        super().__init__(**options)
        self.long_running = long_running

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "do" in vars(cls):
            cls.do = _filtering(vars(cls)["do"])  # type: ignore[method-assign]

    def do(self, body: Any) -> Any:
        """Return the new body for one event; may be async, or a generator, which streams."""
        raise TypeError(f"{type(self).__name__} must define do(self, body)")

    def filter(self) -> Any:
        """Drop the event that this ``do`` is called for, whatever it returns; ``return self.filter()`` works, too."""
        call = _current.get()
        if call is not None and call.step is self:
            call.dropped = True
        return DROP


def _filtering(do: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``do`` that drops the event where the call said so."""
    if inspect.iscoroutinefunction(do):

        @functools.wraps(do)
        async def awaited(self: MapClass, body: Any) -> Any:
            return await _settled(self, do(self, body))

        return awaited

    @functools.wraps(do)
    def called(self: MapClass, body: Any) -> Any:
        outer = _current.get()
        if outer is not None and outer.step is self:  # super().do(): the call belongs to the class below
            return do(self, body)
        call = _Call(self)
        token = _current.set(call)
        try:
            result = do(self, body)
        finally:
            _current.reset(token)
        if call.dropped:
            return DROP
        return _settled(self, result) if type(result) is CoroutineType else result

    return called


async def _settled(step: MapClass, work: Any) -> Any:
    outer = _current.get()
    if outer is not None and outer.step is step:
        return await work
    call = _Call(step)
    token = _current.set(call)
    try:
        result = await work
    finally:
        _current.reset(token)
    return DROP if call.dropped else result
