"""Faces: modules whose names are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from servegraph.errors import nearest


def face(module: str, table: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a module whose names are in a table.

    The table maps a name to ``"module:attribute"``, or to ``"module"`` for a module itself.
    """

    def get(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module '{module}' has no attribute '{name}'{nearest(name, table)}")
        home, _, attribute = table[name].partition(":")
        found: Any = importlib.import_module(home)
        value = getattr(found, attribute) if attribute else found
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *table})

    return get, names
