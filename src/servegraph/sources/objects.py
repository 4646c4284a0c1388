"""Where the source of a living object is: in which script, under which name, or inside which function."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from servegraph.sources.cells import Cell, python_of, running_cells, script_cells
from servegraph.sources.frames import is_installed


def script_of(space: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of the script or notebook whose globals these are.

    Raises LookupError where the source is gone, as for code typed into a plain prompt.
    """
    if space.get("__name__") == "__main__" and (cells := running_cells()):
        return cells
    file = space.get("__file__") or ""
    text = "".join(linecache.getlines(file, dict(space))) if file else ""
    if not text:
        raise LookupError("its source is not kept anywhere: put it into a file or a notebook")
    return script_cells(text, file.rpartition("/")[2])


def text_of(cells: list[Cell]) -> str:
    """Return the Python of cells as one text."""
    return "\n\n".join(python_of(cell) for cell in cells)


def module_of(thing: Any) -> dict[str, Any]:
    """Return the globals of the module in which a class or function was defined; nothing where that is unknown."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return vars(module) if module is not None else {}


def is_library(space: Mapping[str, Any]) -> bool:
    """Whether globals belong to an installed package, the standard library or compiled code: imported, not carried."""
    file = space.get("__file__")
    return space.get("__name__") != "__main__" and (not file or is_installed(str(file)))


def name_in(space: Mapping[str, Any], thing: Any) -> str:
    """Return the name an object has in a namespace, or nothing."""
    wanted = getattr(thing, "__name__", "")
    if wanted and space.get(wanted) is thing:
        return str(wanted)
    return next((name for name, value in space.items() if value is thing or _same_method(value, thing)), "")


def nested_source(thing: Any) -> str:
    """Return the source of a class or function defined inside a function, or of a lambda as an expression.

    Raises LookupError where it uses variables of the function around it, or where its source is not kept.
    """
    around = sorted({name for code in _codes(thing) for name in code.co_freevars} - {"__class__"})
    if around:
        raise LookupError(
            f"it uses {', '.join(repr(name) for name in around)} of the function it is defined in: define it at the "
            "top of the module, or pass the value as an argument of the step"
        )
    if isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
        return _lambda_source(thing)
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        raise LookupError("its source is not kept anywhere: put it into a file or a notebook") from None


def _same_method(value: Any, thing: Any) -> bool:
    # Every access to a bound method makes a new object; equality tells whether it is the same one.
    return inspect.ismethod(thing) and inspect.ismethod(value) and value == thing


def _codes(thing: Any) -> Iterator[CodeType]:
    if isinstance(thing, FunctionType):
        yield thing.__code__
    elif isinstance(thing, type):
        for member in vars(thing).values():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(function, FunctionType):
                yield function.__code__


def _lambda_source(function: FunctionType) -> str:
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    # The first position belongs to the start of the code, which has no column of its own.
    at = {(line, column) for line, _, column, _ in list(code.co_positions())[1:] if line is not None}
    for node in ast.walk(ast.parse(text)) if text else ():
        if isinstance(node, ast.Lambda) and (node.body.lineno, node.body.col_offset) in at:
            return ast.unparse(node)
    raise LookupError("its source is not kept anywhere: put it into a file or a notebook")


def unreadable_arguments(instance: Any, given: Mapping[str, Any]) -> list[str]:
    """Return the arguments of an instance's constructor that nobody could give again.

    ``given`` are those that are known; another is readable where it has a default and no attribute says otherwise.
    """
    try:
        parameters = inspect.signature(type(instance)).parameters.values()
    except (TypeError, ValueError):  # some builtin classes have none
        return []
    return [
        each.name
        for each in parameters
        if each.name not in (*given, "name", "context", "full_event")
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and (each.default is each.empty or getattr(instance, each.name, each.default) is not each.default)
    ]
