"""The slow way to write JSON, for what the fast one refuses: it can do more, and says what it cannot."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final, NoReturn

import orjson

from servegraph.errors import StepError
from servegraph.wire.translate import translate

# As deep as the reader goes, so that whatever came in can go out.
_DEPTH: Final = 1024


class _Container:
    """A list or an object that is being written: what is left of it, how it ends, and where we are in it."""

    __slots__ = ("end", "items", "key", "separator")

    def __init__(self, items: Iterator[tuple[str | int, Any]], end: str) -> None:
        self.items = items
        self.end = end
        self.key: str | int = ""
        self.separator = ""


def write_carefully(body: Any) -> bytes:
    """Return a body as JSON: also large integers, deep nesting, broken surrogates, keys of any simple type.

    Raises StepError naming the type and the place of the first thing that cannot be written.
    """
    pieces: list[str] = []
    open_ones: list[_Container] = []
    _write(body, pieces, open_ones)
    while open_ones:
        container = open_ones[-1]
        for key, value in container.items:
            container.key = key
            pieces.append(container.separator)
            if container.end == "}":
                pieces.append(f"{json.dumps(key)}:")
            container.separator = ","
            if _write(value, pieces, open_ones):
                break
        else:
            pieces.append(container.end)
            open_ones.pop()
    return "".join(pieces).encode()


def _write(value: Any, pieces: list[str], open_ones: list[_Container]) -> bool:
    """Write a value, or open it and return True when it has values of its own."""
    text = _simple(value)
    if text is not None:
        pieces.append(text)
        return False
    if len(open_ones) >= _DEPTH:
        message = "cannot write the body as JSON: it is nested too deeply, or contains itself"
        raise StepError(message)
    if isinstance(value, dict):
        pieces.append("{")
        open_ones.append(_Container(_with_text_keys(value.items(), open_ones), "}"))
    elif isinstance(value, list | tuple):
        pieces.append("[")
        open_ones.append(_Container(iter(enumerate(value)), "]"))
    else:
        return _write_other(value, pieces, open_ones)
    return True


def _simple(value: Any) -> str | None:
    if isinstance(value, Enum):
        return _simple(value.value)
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else "null"
    if isinstance(value, str) or value is None or value is True or value is False:
        return json.dumps(value)
    return str(int(value)) if isinstance(value, int) else None


def _write_other(value: Any, pieces: list[str], open_ones: list[_Container]) -> bool:
    try:
        return _write(translate(value), pieces, open_ones)
    except TypeError:
        pass
    try:
        pieces.append(orjson.dumps(value).decode())
        return False
    except TypeError:
        pass
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is None or isinstance(value, type):
        _refuse(value, open_ones, "")
    return _write({name: getattr(value, name) for name in fields if name[0] != "_"}, pieces, open_ones)


def _with_text_keys(items: Iterable[tuple[Any, Any]], open_ones: list[_Container]) -> Iterator[tuple[str, Any]]:
    for key, value in items:
        yield key if type(key) is str else _key_text(key, open_ones), value


def _key_text(key: Any, open_ones: list[_Container]) -> str:
    if isinstance(key, Enum):
        return _key_text(key.value, open_ones)
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    try:
        text: str = next(iter(orjson.loads(orjson.dumps({key: 0}, option=orjson.OPT_NON_STR_KEYS))))
        return text
    except TypeError:
        pass
    try:
        plain = translate(key)
    except TypeError:
        plain = None
    if plain is None or isinstance(plain, list | dict):
        _refuse(key, open_ones[:-1], "a key of ")
    return _key_text(plain, open_ones)


def _refuse(value: Any, open_ones: list[_Container], what: str) -> NoReturn:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    keys = (container.key for container in open_ones)
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    raise StepError(
        f"cannot write the body as JSON: {what}type {kind} at ${where}; return numbers, text, lists and dicts instead"
    )
