"""Changes the routes of a router while it serves: the new one is built and loaded first, then swapped in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from servegraph.context import Context
from servegraph.engine.bind import find
from servegraph.engine.names import Names
from servegraph.engine.node import Node, Routes
from servegraph.engine.plan import Plan, load, make_node, release
from servegraph.errors import Fault, GraphError, nearest
from servegraph.graph.spec import RouterSpec, TaskSpec

_LOOK_AGAIN: Final = 0.005  # seconds


class LiveRoutes:
    """The routes of one running router; every change is in force when its call returns, and no event fails by it.

    An event that is in a route when the route goes finishes there; the old object is then let go.
    """

    def __init__(
        self, plan: Plan, router: str, names: Names, settle: Callable[[Node], None], default_class: str = ""
    ) -> None:
        """Take charge of a router; ``settle`` gives a new node its place to run."""
        self._plan = plan
        self._router = plan.nodes[router]
        self._names = names
        self._settle = settle
        self._default_class = default_class
        self._lock = threading.Lock()
        spec = plan.flow.steps[router]
        assert isinstance(spec, RouterSpec)
        self._specs: dict[str, TaskSpec] = dict(spec.routes)

    @property
    def _routes(self) -> Routes:
        assert self._router.router is not None
        return self._router.router

    @property
    def _context(self) -> Context:
        return self._plan.context

    def names(self) -> Sequence[str]:
        """Return the routes there are now."""
        return list(self._routes.nodes)

    def add(self, name: str, *, class_name: Any = "", handler: str = "", **class_args: Any) -> None:
        """Add a route, or replace the one of that name; raises GraphError and changes nothing when it cannot load."""
        if isinstance(class_name, type):
            class_name = self._names.live.name(f"{class_name.__module__}.{class_name.__qualname__}", class_name)
        if not class_name and not handler:
            class_name = self._default_class
        if not class_name and not handler:
            raise GraphError("give the class of the new route as class_name=", f"{self._router.path}/{name}", "class")
        if "/" in name or not name:
            raise GraphError(f"a route cannot be called '{name}'", f"{self._router.path}/{name}", "name")
        with self._lock:
            self._put(name, TaskSpec(class_name=class_name, handler=handler, class_args=class_args))

    def reload(self, name: str) -> None:
        """Build and load a route again, then swap it in; raises GraphError and keeps the old one when that fails."""
        with self._lock:
            self._put(name, self._known(name), again=True)

    def remove(self, name: str) -> None:
        """Take a route away; raises GraphError when there is none of that name."""
        with self._lock:
            self._known(name)
            nodes = dict(self._routes.nodes)
            old = nodes.pop(name)
            self._routes.nodes = nodes
            del self._specs[name]
        self._let_go(old)

    def _known(self, name: str) -> TaskSpec:
        if name not in self._specs:
            known = ", ".join(self._specs) or "none"
            told = f"there is no route '{name}', there are: {known}{nearest(name, self._specs)}"
            raise GraphError(told, self._router.path, "route")
        return self._specs[name]

    def _put(self, name: str, spec: TaskSpec, again: bool = False) -> None:
        path = f"{self._router.path}/{name}"
        faults: list[Fault] = []
        found = find(path, spec, self._names, faults)
        if found is None or faults:
            raise GraphError(faults)
        if found.instance is not None and not again:
            found = None
            self._names.live.forget(path)
            found = find(path, spec, self._names, faults)
            if found is None:
                raise GraphError(faults)
        node = make_node(found, self._context)
        faults = load(node, "sync")
        if faults:
            raise GraphError(faults)
        self._settle(node)
        old = self._routes.nodes.get(name)
        if old is not None and node.gate is not None and old.owner is node.owner:
            node.gate = old.gate
        self._routes.nodes = {**self._routes.nodes, name: node}
        self._specs[name] = msgspec.structs.replace(spec)
        if old is not None and old.owner is not node.owner:
            self._let_go(old)

    def _let_go(self, old: Node) -> None:
        """Close what is not used any more, once the events that are in it have left."""
        old.retired = True
        if _idle(old):
            release(old, self._context)
        else:
            threading.Thread(
                target=self._release_when_idle, args=(old,), name="servegraph-release", daemon=True
            ).start()

    def _release_when_idle(self, old: Node) -> None:
        while not _idle(old):
            time.sleep(_LOOK_AGAIN)
        release(old, self._context)


def _idle(node: Node) -> bool:
    # A call that was abandoned has left the route, but still has its place at the gate.
    return not node.users and (node.gate is None or not node.gate.busy)
