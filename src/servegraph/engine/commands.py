"""What a walk and whoever drives it tell each other."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeAlias

from servegraph.engine.node import Node

Walk: TypeAlias = Generator[Any, Any, None]


class Fork:
    """Walks that go on side by side (or, in the sync engine, in this order)."""

    __slots__ = ("walks",)

    def __init__(self, walks: list[Walk]) -> None:
        """Take the walks in the order of definition."""
        self.walks = walks


class Gather:
    """Calls whose results are needed together; an exception is a result."""

    __slots__ = ("calls",)

    def __init__(self, calls: list[Generator[Any, Any, Any]]) -> None:
        """Take the calls in order."""
        self.calls = calls


class Next:
    """The next chunk of a stream, from the node that makes it; ``END`` when there is none."""

    __slots__ = ("iterator", "node")

    def __init__(self, node: Node, iterator: Any) -> None:
        """Take what to ask."""
        self.node = node
        self.iterator = iterator


class Raise:
    """What a step that held events failed with when it let them go."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        """Take the error."""
        self.error = error


END: Final = object()
