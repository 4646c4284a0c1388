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
    """One awaited call of a step's ``do``: whether it said ``self.filter()``."""

    __slots__ = ("dropped", "step")

    def __init__(self, step: MapClass) -> None:
        self.step = step
        self.dropped = False


# Every thread and task has its own, so that calls which overlap do not see each other's. An awaited call may have tasks
# that help it, which share the object; for one that is not awaited, a mark costs less.
_awaiting: Final[ContextVar[_Call | None]] = ContextVar("servegraph_step_call", default=None)
_filtered: Final[ContextVar[MapClass | None]] = ContextVar("servegraph_filtered_step", default=None)


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
        call = _awaiting.get()
        if call is not None and call.step is self:
            call.dropped = True
        else:
            _filtered.set(self)
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
        if _filtered.get() is self and type(self).do is called:
            _filtered.set(None)  # a mark that no call of do has left
        try:
            result = do(self, body)
        except BaseException:
            _filtered.set(None)
            raise
        # With super().do() the mark is for the call of the class below.
        if _filtered.get() is self and type(self).do is called:
            _filtered.set(None)
            return DROP
        return _settled(self, result) if type(result) is CoroutineType else result

    return called


async def _settled(step: MapClass, work: Any) -> Any:
    outer = _awaiting.get()
    if outer is not None and outer.step is step:
        return await work
    call = _Call(step)
    token = _awaiting.set(call)
    try:
        result = await work
    finally:
        _awaiting.reset(token)
    return DROP if call.dropped else result
