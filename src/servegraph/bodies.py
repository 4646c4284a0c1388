"""What can be done with a body of any type: a copy of its own, a value at a path."""

from __future__ import annotations

import copy
import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any, Final

# Values of these types never change, so that copies may share them.
_ATOMS: Final[frozenset[type]] = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, range, type, type(Ellipsis),
        datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
        decimal.Decimal, uuid.UUID,
    }
)  # fmt: skip


def copy_body(body: Any) -> Any:
    """Return a copy that shares nothing that could be changed; costs about what the data costs.

    Raises whatever the body's own ``__deepcopy__`` raises when it is of a type that cannot be copied.
    """
    if type(body) in _ATOMS:
        return body
    try:
        return _copy(body)
    except RecursionError:
        return _copy_deep(body)


def _copy(body: Any) -> Any:
    make = _COPIERS.get(type(body))
    return make(body) if make is not None else copy.deepcopy(body)


def _copy_dict(body: dict[Any, Any]) -> dict[Any, Any]:
    atoms = _ATOMS
    return {key: value if type(value) in atoms else _copy(value) for key, value in body.items()}


def _copy_list(body: list[Any]) -> list[Any]:
    atoms = _ATOMS
    return [value if type(value) in atoms else _copy(value) for value in body]


def _copy_tuple(body: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_copy_list(body))  # type: ignore[arg-type]


_COPIERS: Final[dict[type, Callable[[Any], Any]]] = {
    dict: _copy_dict,
    list: _copy_list,
    tuple: _copy_tuple,
    set: set,
    frozenset: frozenset,
    bytearray: bytearray,
}


def _copy_deep(body: Any) -> Any:
    """Copy, without a call for each level, what is nested more deeply than Python lets calls nest."""
    result = [body]
    unfinished: list[Any] = [result]
    copies: dict[int, Any] = {}
    tuples: list[tuple[Any, Any]] = []
    while unfinished:
        here = unfinished.pop()
        for key, value in here.items() if type(here) is dict else enumerate(here):
            kind = type(value)
            if id(value) in copies:
                here[key] = copies[id(value)]
            elif kind is dict or kind is list or kind is tuple:
                here[key] = dict(value) if kind is dict else list(value)
                unfinished.append(here[key])
                if kind is tuple:
                    tuples.append((here, key))
                else:
                    copies[id(value)] = here[key]
            elif kind not in _ATOMS:
                here[key] = _copy(value)
    for here, key in reversed(tuples):  # the inner ones first
        here[key] = tuple(here[key])
    return result[0]


def get_path(body: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys inside nested dicts; ``None`` where a key is missing.

    Raises TypeError when something on the way is not a dict.
    """
    for key in path:
        if body is None:
            return None
        if not isinstance(body, dict):
            raise TypeError(f"input_path '{'.'.join(path)}' needs dict bodies, not {type(body).__name__}")
        body = body.get(key)
    return body


def set_path(body: Any, path: tuple[str, ...], value: Any) -> Any:
    """Write a value at a path of keys inside nested dicts, which are made where missing, and return the body.

    An empty body (``None``) becomes a dict. Raises TypeError when something on the way is not a dict.
    """
    if body is None:
        body = {}
    here = body
    for key in path[:-1]:
        if not isinstance(here, dict):
            break
        inner = here.get(key)
        if inner is None:
            inner = here[key] = {}
        here = inner
    if not isinstance(here, dict):
        raise TypeError(f"result_path '{'.'.join(path)}' needs dict bodies, not {type(here).__name__}")
    here[path[-1]] = value
    return body


def split_path(path: str | None) -> tuple[str, ...]:
    """Split ``"a.b"`` into its keys; a backslash keeps a dot inside a key (``r"a\\.b"`` is one key)."""
    if not path:
        return ()
    keys = path.replace("\\.", "\0").split(".")
    return tuple(key.replace("\0", ".") for key in keys)
