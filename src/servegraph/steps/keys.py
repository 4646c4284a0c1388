"""What events are told apart by: a field of the body, an attribute of the event, a function or an expression."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeAlias

from servegraph.bodies import get_path, split_path
from servegraph.errors import BadEvent, nearest
from servegraph.events import Event

KeyOf: TypeAlias = Callable[[Event], Any]

_ATTRIBUTES: Final = ("key", "id", "path", "method", "content_type", "time")


def key_reader(key: str | KeyOf | None, what: str) -> KeyOf | None:
    """Return what reads an event's key: a field of the body (``"a.b"``), ``"$key"``, ``"$path"`` ..., or a function.

    ``None`` where there is no key. Raises ValueError for anything else; reading raises BadEvent where there is none.
    """
    if key is None:
        return None
    if callable(key):
        return key
    if not isinstance(key, str) or not key:
        raise ValueError(f"{what} must be a field's name, '$key' or a function, not {key!r}")
    if key.startswith("$"):
        name = key[1:]
        if name not in _ATTRIBUTES:
            raise ValueError(f"{what}: an event has no '{name}', it has {', '.join(_ATTRIBUTES)}"
                             f"{nearest(name, _ATTRIBUTES)}")  # fmt: skip
        return lambda event: getattr(event, name)
    path = split_path(key)

    def read(event: Event) -> Any:
        value = get_path(event.body, path) if isinstance(event.body, dict) else None
        if value is None:
            raise BadEvent(f"{what} is '{key}', but the event's body has no such field")
        return value

    return read


def read_key(reader: KeyOf | None, event: Event, what: str) -> Hashable:
    """Return the key of an event, a list as a tuple; raises BadEvent for what can be no key."""
    if reader is None:
        return None
    key = reader(event)
    if isinstance(key, list):
        key = tuple(key)
    try:
        hash(key)
    except TypeError:
        raise BadEvent(f"{what} gives {type(key).__name__}, which cannot be a key") from None
    return key  # type: ignore[no-any-return]


def expression(text: str, what: str) -> Callable[[Any], Any]:
    """Return the function of ``event`` that an expression stands for; raises ValueError where it stands for none."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{what} {text!r} is not valid Python: {error.msg}") from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    unknown = sorted(name for name in used - bound - {"event"} if not hasattr(builtins, name))
    if unknown or "event" not in used:
        told = f"there is no '{unknown[0]}' in it" if unknown else "it says nothing of it"
        raise ValueError(f"{what} {text!r} is an expression of 'event', but {told}; such as \"event['id']\"")
    code = compile(tree, f"<{what}>", "eval")
    return lambda event: eval(code, {"event": event})
