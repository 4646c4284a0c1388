"""Names for what users hand over: what a class or function is called, what a step is called, who is calling."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Container
from types import FrameType
from typing import Any, Final

_PACKAGE: Final = __name__.partition(".")[0]


def name_of(thing: Any) -> str:
    """Return the name under which a spec speaks of a class or function.

    That is ``"module.qualname"`` where it can be imported again, only the ``qualname`` when it comes from the main
    program or is built in, ``"lambda"`` for lambdas and the bare name of everything else.
    """
    if isinstance(thing, functools.partial):
        return name_of(thing.func).rpartition(".")[2]
    name: str = getattr(thing, "__name__", type(thing).__name__)
    if name == "<lambda>":
        return "lambda"
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", name)
    if module is None or _found(module, path) is not thing:
        return name
    return path if module in ("__main__", "builtins") else f"{module}.{path}"


def _found(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def is_function(thing: Any) -> bool:
    """Return whether something is called to do its work (a function, a lambda, a method), not built and then asked."""
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


def short(name: str) -> str:
    """Return what an unnamed step is called after: the last dotted part, ``"expression"`` for an expression."""
    return "expression" if name.startswith("(") else name.rpartition(".")[2]


def unique(wanted: str, taken: Container[str]) -> str:
    """Return the wanted name, or with ``-2``, ``-3`` ... behind it where it is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


def illegal(name: str) -> str:
    """Return why a step or route cannot have this name, or nothing."""
    if not name.strip():
        return "a name cannot be empty"
    return f"a name cannot contain '/', which parts a router from its routes: '{name}'" if "/" in name else ""


def caller() -> FrameType:
    """Return the nearest frame that is not servegraph's own: the place where a user defines a graph."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return frame
