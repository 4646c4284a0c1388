"""From the names in a spec to Python objects: where they are looked for, and what to say when one is not there."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from servegraph import models, routers, steps
from servegraph.errors import nearest
from servegraph.graph.live import Live

LIBRARY: dict[str, str] = {**steps.NAMES, **models.NAMES, **routers.NAMES}
"""Every name that servegraph itself offers to graphs: name to ``"module:attribute"``."""


# Modules whose names are the library's, whether or not a module of that name can be imported here.
_OURS: Final = ("mlrun", "storey")


class Names:
    """Finds classes and functions by the names a graph uses.

    They are looked for, in this order: among the live objects the graph was defined with, in the namespaces (modules,
    dicts or classes, the first wins), in the library, as a dotted path that can be imported, among Python's builtins.
    """

    def __init__(self, namespaces: Sequence[Any] = (), live: Live | None = None) -> None:
        """Take the places to look in, and the live objects of the graph."""
        self._live = live or Live()
        self._spaces = [*namespaces, *self._live.namespaces]

    @property
    def live(self) -> Live:
        """The live objects of the graph."""
        return self._live

    def find(self, name: str) -> Any:
        """Return the object a name stands for; raises LookupError saying where it was looked for."""
        if name in self._live.names:
            return self._live.names[name]
        first, *rest = name.split(".")
        for space in self._spaces:
            try:
                return _walk(_member(space, first), rest)
            except (KeyError, AttributeError):
                continue
        if name in LIBRARY:
            module, _, attribute = LIBRARY[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        if rest and first not in _OURS:
            return self._imported(name)
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise LookupError(f"'{name}' was not found in {self._places()}{nearest(name, self._known())}")

    def callable(self, name: str) -> Any:
        """Return the function a handler's name or ``"(expression)"`` stands for; raises LookupError otherwise."""
        if name.lstrip().startswith("(") and name not in self._live.names:
            return self._expression(name.strip())
        found = self.find(name)
        if not callable(found):
            raise LookupError(f"'{name}' is {type(found).__name__}, not something that can be called")
        return found

    def _expression(self, text: str) -> Any:
        if not text.endswith(")"):
            raise LookupError(f"{text!r} is an expression, which must end with ')'")
        try:
            tree = ast.parse(f"lambda event: {text}", mode="eval")
        except SyntaxError as error:
            raise LookupError(f"{text!r} is an expression, but not valid Python: {error.msg}") from error
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        bound = {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        space = {name: self._used(name, text) for name in used - bound if not hasattr(builtins, name)}
        function = eval(compile(tree, "<expression>", "eval"), space)
        function.__name__ = text
        return function

    def _used(self, name: str, text: str) -> Any:
        """Return what a name inside an expression stands for; most that stand for nothing are a mistyped ``event``."""
        try:
            return self.find(name)
        except LookupError as error:
            meant = nearest(name, ["event"])
            told = f"there is no '{name}'{meant}" if meant else error.args[0]
            raise LookupError(f"{text!r}: {told}") from error

    def _imported(self, name: str) -> Any:
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            path = ".".join(parts[:cut])
            try:
                found: Any = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name is not None and not f"{path}.".startswith(f"{error.name}."):
                    raise LookupError(f"'{name}': importing {path} failed: {error}") from error
                continue
            except Exception as error:
                raise LookupError(f"'{name}': importing {path} failed: {type(error).__name__}: {error}") from error
            try:
                return _walk(found, parts[cut:])
            except (AttributeError, KeyError):
                hint = nearest(parts[cut], [each for each in dir(found) if not each.startswith("_")])
                raise LookupError(f"'{name}': module '{path}' has no '{'.'.join(parts[cut:])}'{hint}") from None
        raise LookupError(f"'{name}' was not found in {self._places()}, and there is no module '{parts[0]}'"
                          f"{nearest(name, self._known())}")  # fmt: skip

    def _places(self) -> str:
        places = list(dict.fromkeys(_title(space) for space in self._spaces))
        shown = places[:6] + (["..."] if len(places) > 6 else [])
        return ", ".join([*shown, "the library of servegraph"])

    def _known(self) -> Iterator[str]:
        for space in self._spaces:
            yield from (each for each in _names_of(space) if not each.startswith("_"))
        yield from LIBRARY


def _member(space: Any, name: str) -> Any:
    return space[name] if isinstance(space, Mapping) else getattr(space, name)


def _walk(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        found = getattr(found, name)
    return found


def _names_of(space: Any) -> list[str]:
    names = space.keys() if isinstance(space, Mapping) else vars(space).keys()
    return [str(name) for name in names]


def _title(space: Any) -> str:
    if isinstance(space, Mapping):
        return str(space.get("__name__", "a namespace"))
    return space.__name__ if isinstance(space, ModuleType | type) else type(space).__name__
