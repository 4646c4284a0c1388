"""Step objects that know which steps follow them: ``source.to(step).to(other)``, read by ``servegraph.pipeline``."""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

Step = TypeVar("Step")

_FOLLOWING = "_following"
_RECOVERY = "_recovery"


class Linked:
    """The base of step objects that can be linked; in a graph, where the graph holds the arrows, it does nothing."""

    FIRST: ClassVar[bool] = False
    """Whether this can only be the first step of a flow: a source."""
    LAST: ClassVar[bool] = False
    """Whether this can only be the last step of a way: its ``result`` is what the flow ends with."""
    COMPLETES: ClassVar[bool] = False
    """Whether an event that comes here has its result: what leaves this step."""

    def to(self, step: Step) -> Step:
        """Let a step follow this one, besides those that follow it already, and return it.

        A step that follows several others gets the events of each. A step that leads back makes a loop.
        """
        if self.LAST:
            raise ValueError(f"{type(self).__name__} ends a flow: no step can follow it")
        if getattr(step, "FIRST", False):
            raise ValueError(f"{type(step).__name__} can only be the first step of a flow")
        if not isinstance(step, Linked):
            raise TypeError(
                f"to() takes step objects such as storey.Map(fn), not {type(step).__name__}; "
                "a list for build_flow may also hold functions and objects that have do(body)"
            )
        # Subclasses need not call our constructor.
        self.__dict__.setdefault(_FOLLOWING, []).append(step)
        return step

    def set_recovery_step(self, step: Any) -> Self:
        """Let a step have the events that fail here, with ``error`` and ``origin_state``, and return this one."""
        if not isinstance(step, Linked):
            raise TypeError(f"a recovery step is a step object such as storey.Map(fn), not {type(step).__name__}")
        self.__dict__[_RECOVERY] = step
        return self

    def run(self) -> Any:
        """Raise ValueError: only a source can be run."""
        raise ValueError(
            f"a flow starts with a source, such as storey.SyncEmitSource(), not with {type(self).__name__}"
        )


class Wrapped(Linked):
    """Stands in a flow for an object that cannot be linked itself, such as one of a user's class with ``do(body)``."""

    def __init__(self, step: Any) -> None:
        """Take the object that does the work."""
        self.step = step


def following(step: Linked) -> list[Linked]:
    """Return the steps that follow a step, in the order in which they were linked."""
    return list(step.__dict__.get(_FOLLOWING, ()))


def recovery(step: Linked) -> Linked | None:
    """Return the step that gets the events that fail in a step, where it has one."""
    found: Linked | None = step.__dict__.get(_RECOVERY)
    return found
