"""Modules of other names: found by import like any other, their members imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from servegraph.compat.tables import TABLES
from servegraph.errors import nearest

PACKAGES: Final = ("mlrun", "storey")
_MARK: Final = "__servegraph__"
_ADVICE: Final = "servegraph.compat has what serving graphs use (see docs/from-mlrun.md)"


class Finder:
    """Finds the modules of the tables, and says of any other of these packages that it is not there."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how a module is made, None where it belongs to another package."""
        if name.partition(".")[0] not in PACKAGES:
            return None
        if name not in TABLES:
            # Without ``name=``: ``from storey import Tabel`` would swallow it, and say less itself.
            parent = name.rpartition(".")[0]
            known = [*TABLES, *(f"{parent}.{each}" for each in TABLES.get(parent, ()))]
            raise ModuleNotFoundError(f"there is no '{name}': {_ADVICE}{nearest(name, known)}")
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]  # a loader by what it does

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module whose members are those of its table."""
        return _Face(spec.name, f"What servegraph has under the name '{spec.name}'.")

    def exec_module(self, module: ModuleType) -> None:
        """Mark the module as ours."""
        setattr(module, _MARK, True)


class _Face(ModuleType):
    """A module whose members are imported when they are first asked for."""

    def __getattr__(self, name: str) -> Any:
        home = self.__name__
        if f"{home}.{name}" in TABLES:
            return importlib.import_module(f"{home}.{name}")
        table = TABLES[home]
        if name not in table:
            if name.startswith("__"):
                raise AttributeError(name)
            raise AttributeError(f"'{home}' has no '{name}': {_ADVICE}{nearest(name, self._names())}")
        module, _, attribute = table[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names()})

    @property
    def __all__(self) -> list[str]:
        return sorted(TABLES[self.__name__])

    def _names(self) -> set[str]:
        prefix = f"{self.__name__}."
        modules = {name[len(prefix) :] for name in TABLES if name.startswith(prefix)}
        return {*TABLES[self.__name__], *(name for name in modules if "." not in name)}


def install() -> None:
    """Let ``import mlrun`` and ``import storey`` find ours; raises ImportError where the real ones are loaded."""
    for name in PACKAGES:
        if name in sys.modules and not hasattr(sys.modules[name], _MARK):
            raise ImportError(
                f"'{name}' is imported already, so servegraph cannot stand in for it: import servegraph.compat before "
                f"anything that imports {name}, or use servegraph by its own name (import servegraph as mlrun)",
                name=name,
            )
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
