"""ConcurrentExecution: one function at work on several events at once, whose results leave in the order of arrival."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Unpack

from servegraph.context import Context
from servegraph.errors import nearest
from servegraph.steps.base import Options, StepBase, awaits, checked
from servegraph.steps.options import RunIn, StepOptions

MAX_IN_FLIGHT: Final = 8

# A sync function under asyncio may block, so that it gets threads, too; "naive" is for one that is known to be quick.
_MECHANISMS: Final[dict[str, RunIn]] = {
    "asyncio": "thread",
    "threading": "thread",
    "thread_pool": "thread",
    "multiprocessing": "process",
    "process_pool": "process",
    "dedicated_process": "process",
    "naive": "loop",
}


class ConcurrentExecution(StepBase):
    """Replaces the body by what ``event_processor(body)`` returns, for several events at once and in order.

    ``concurrency_mechanism`` is ``"asyncio"`` (the default, for async functions), ``"threading"`` for functions that
    block or ``"multiprocessing"`` for those that compute; also ``"thread_pool"``, ``"process_pool"``,
    ``"dedicated_process"`` (a single one) and ``"naive"`` (on the event loop itself). An event that fails does not
    disturb the others.
    """

    calls_may_overlap = True

    def __init__(
        self,
        event_processor: Callable[..., Any],
        concurrency_mechanism: str | None = None,
        max_in_flight: int | None = None,
        retries: int | None = None,
        backoff_factor: float | None = None,
        pass_context: bool | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the function, sync or async; ``backoff_factor`` is the wait before the first retry (1 s by default).

        With ``pass_context`` it is called with ``(body, context)``, with ``full_event`` it gets and returns the event.
        At most ``max_in_flight`` events (8 by default) are worked on at once. Raises ValueError for what cannot be.
        """
        super().__init__(**options)
        self.event_processor = checked(event_processor, "the event_processor of ConcurrentExecution")
        self.pass_context = pass_context
        mechanism = concurrency_mechanism or "asyncio"
        if mechanism not in _MECHANISMS:
            allowed, hint = ", ".join(_MECHANISMS), nearest(mechanism, _MECHANISMS)
            raise ValueError(f"concurrency_mechanism '{mechanism}' is not one of {allowed}{hint}")
        asked = StepOptions(
            run_in=_MECHANISMS[mechanism],
            max_in_flight=MAX_IN_FLIGHT if max_in_flight is None else max_in_flight,
            retries=retries or 0,
            backoff_factor=1.0 if backoff_factor is None else backoff_factor,
            ordered=True,
        )
        for name, least in (("max_in_flight", 1), ("retries", 0), ("backoff_factor", 0)):
            if getattr(asked, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(asked, name)}")
        self.step_options = asked if mechanism != "dedicated_process" else asked.alone()

    @property
    def do(self) -> Callable[[Any], Any]:
        """The function itself: the engine sees whether to await it, and processes get nothing else."""
        if not self.pass_context:
            return self.event_processor
        called = _awaited if awaits(self.event_processor) else _called
        return functools.partial(called, self.event_processor, self.context)


def _called(function: Callable[..., Any], context: Context | None, body: Any) -> Any:
    return function(body, context)


async def _awaited(function: Callable[..., Any], context: Context | None, body: Any) -> Any:
    return await function(body, context)
