"""A step compiled for running: what to call, where to call it, and which steps follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from time import monotonic as clock
from typing import Any, Final

from servegraph.engine.calls import Call
from servegraph.engine.gate import Gate, Line
from servegraph.errors import NotFound
from servegraph.pools.processes import ProcessStep

QUICK_SECONDS: Final = 200e-6
"""A call below this counts towards running inline (R4)."""
SLOW_SECONDS: Final = 1e-3
"""One inline call above this sends a step back to the threads; the gap to QUICK keeps a noisy machine from flapping."""
QUICK_CALLS: Final = 32


class Place(IntEnum):
    """Where a node's call runs."""

    INLINE = 0
    """Where the walk runs: on the caller's thread or on the loop."""
    PROVEN = 1
    """Inline as long as it stays quick: every call is timed."""
    ELSEWHERE = 2
    """Awaited: an async step, or a call in a worker thread."""


class Node:
    """One step of a plan; its links are set once, after all nodes are made."""

    __slots__ = (
        "arrive",
        "backoff",
        "call",
        "can_answer",
        "catches",
        "children",
        "gate",
        "is_async",
        "joint",
        "leads",
        "line",
        "on_error",
        "only_child",
        "outlets",
        "owner",
        "path",
        "place",
        "places",
        "pool",
        "quick_calls",
        "responds",
        "retired",
        "retries",
        "router",
        "run_in",
        "streams",
        "timeout",
        "users",
    )  # fmt: skip

    def __init__(self, path: str, call: Call) -> None:
        """Make a node that runs inline, leads nowhere and answers nobody."""
        self.path = path
        self.call = call
        self.owner: Any = None
        self.pool: ProcessStep | None = None
        self.place: int = Place.INLINE
        self.run_in = "auto"
        self.is_async = False
        self.gate: Gate | None = None
        self.quick_calls = 0
        self.timeout: float | None = None
        self.retries = 0
        self.backoff = 1.0
        self.router: Routes | None = None
        self.users = 0
        self.retired = False
        self.children: tuple[Node, ...] = ()
        self.only_child: Node | None = None
        self.outlets: Mapping[str, Node] = {}
        self.on_error: Node | None = None
        self.responds = False
        self.catches = False
        self.can_answer = False
        self.arrive: Callable[..., Any] | None = None
        self.joint: Callable[..., Any] = call
        self.streams = True
        self.leads: tuple[Node, ...] = ()
        self.places: Mapping[str, int] = {}
        self.line: Line | None = None

    @property
    def plain(self) -> bool:
        """Whether this is a sync call with nothing around it, which may run on a caller's own thread."""
        unlimited = self.timeout is None and not self.retries
        return unlimited and not self.is_async and self.run_in in ("auto", "loop")

    def timed(self, call: Callable[..., Any], *args: Any) -> Any:
        """Make a call of this step and take note of how long it took."""
        before = clock()
        try:
            return call(*args)
        finally:
            self.judge(clock() - before)

    def judge(self, seconds: float) -> None:
        """Take note of how long a call took; one slow call ends a proven node's right to run inline."""
        if seconds <= QUICK_SECONDS:
            self.quick_calls += 1
        elif self.place == Place.ELSEWHERE and not self.proven:
            self.quick_calls //= 2
        elif seconds > SLOW_SECONDS:
            self.quick_calls = 0
            self.place = Place.ELSEWHERE

    def promote(self) -> None:
        """Run inline from now on if the calls so far were quick, and none that excludes others is still in a thread."""
        alone = (self.gate is None or not self.gate.busy) and (self.line is None or self.line.idle)
        if alone and self.proven:
            self.place = Place.PROVEN

    @property
    def proven(self) -> bool:
        """Whether a call may be made on the loop: so many in a row have been quick."""
        quick = self.quick_calls >= QUICK_CALLS and self.run_in == "auto"
        return quick and not self.is_async and self.timeout is None and not self.retries

    def __repr__(self) -> str:
        return f"Node({self.path!r})"


class Routes:
    """The routes of a router node, replaced as a whole when one changes, so that a walk always sees all or none."""

    __slots__ = ("merge", "nodes")

    def __init__(self, merge: Callable[..., Any]) -> None:
        """Take what makes one answer of those of the routes."""
        self.merge = merge
        self.nodes: dict[str, Node] = {}

    def enter(self, name: str) -> Node:
        """Return the node of a route, which is in use until ``leave``; raises NotFound where it is gone."""
        while True:
            node = self.nodes.get(name)
            if node is None:
                # Selected a moment ago, removed since: for the caller it is as if it had never been there.
                raise NotFound(f"the router chose route '{name}', which it does not have")
            node.users += 1
            if not node.retired:
                return node
            node.users -= 1  # replaced between the look-up and the use

    @staticmethod
    def leave(node: Node) -> None:
        """Say that an event has done with a route."""
        node.users -= 1


class RouteView(Mapping[str, object]):
    """What a router sees of its routes: each name with the object behind it, always as it is now."""

    def __init__(self, routes: Routes) -> None:
        """Look at the routes of one router."""
        self._routes = routes

    def __getitem__(self, name: str) -> object:
        return self._routes.nodes[name].owner

    def __iter__(self) -> Any:
        return iter(self._routes.nodes)

    def __contains__(self, name: object) -> bool:  # the inherited one costs more, on every event
        return name in self._routes.nodes

    def __len__(self) -> int:
        return len(self._routes.nodes)
