"""How a step asks to be run: what its class knows about that and a graph need not say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self, TypeAlias

RunIn: TypeAlias = Literal["auto", "loop", "thread", "process"]


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What the engine does around a step whose attribute ``step_options`` this is.

    At most ``max_in_flight`` calls run at once (``None``: the engine's own rules); a call that fails is repeated
    ``retries`` times, first after ``backoff_factor`` seconds and then after twice as long each time; ``ordered`` lets
    events leave in the order in which they came.
    """

    run_in: RunIn = "auto"
    max_in_flight: int | None = None
    retries: int = 0
    backoff_factor: float = 1.0
    ordered: bool = False

    def alone(self) -> Self:
        """Return the same for a single call at a time."""
        return replace(self, max_in_flight=1)
