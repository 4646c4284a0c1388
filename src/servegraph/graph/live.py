"""The Python objects that a graph was defined with, kept beside its spec and found by the spec's own names."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType, FrameType, ModuleType
from typing import Any

from servegraph.graph.naming import is_function


@dataclass(slots=True)
class Live:
    """What a spec can only name: classes, functions, lambdas, instances, arguments that are no plain data.

    ``names`` maps what stands in ``class_name``, ``handler`` or a ``"_fn"``-style argument to the object itself;
    ``instances`` maps a step's path (``"step"`` or ``"router/route"``) to the instance it was defined with;
    ``arguments`` maps a step's path to those constructor arguments that a spec cannot hold;
    ``namespaces`` are the names that could be seen where steps were defined, the latest place first.
    """

    names: dict[str, Any] = field(default_factory=dict)
    instances: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)
    namespaces: list[dict[str, Any]] = field(default_factory=list)
    _scopes: dict[CodeType, dict[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def name(self, wanted: str, thing: Any) -> str:
        """Keep an object under the wanted name, or under ``name-2`` ... where that is taken by another; return it."""
        name, number = wanted, 2
        while name in self.names and self.names[name] is not thing:
            name, number = f"{wanted}-{number}", number + 1
        self.names[name] = thing
        return name

    def forget(self, path: str) -> None:
        """Drop what belongs to one step (and its routes)."""
        for kept in (self.instances, self.arguments):
            for key in [key for key in kept if key == path or key.startswith(f"{path}/")]:
                del kept[key]

    def remember(self, place: FrameType) -> None:
        """Keep the names that can be seen where a graph is defined, so that they can be found when it is started.

        Globals are kept as they are, so that later definitions count; of a function's locals only what a graph can
        name is kept: classes, functions and modules, never data.
        """
        self._put_first(place.f_globals)
        if place.f_locals is not place.f_globals:
            title = f"{place.f_globals.get('__name__')}.{place.f_code.co_qualname}"
            scope = self._scopes.setdefault(place.f_code, {"__name__": title})
            scope.update((name, value) for name, value in place.f_locals.items() if _nameable(value))
            self._put_first(scope)

    def _put_first(self, namespace: dict[str, Any]) -> None:
        others = [known for known in self.namespaces if known is not namespace]
        self.namespaces[:] = [namespace, *others]


def _nameable(value: Any) -> bool:
    return isinstance(value, type | ModuleType) or is_function(value)
