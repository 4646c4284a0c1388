"""JSON in and out: everything a step may return becomes bytes, and bad JSON says where it is bad."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import orjson

from servegraph.errors import BadEvent
from servegraph.wire.careful import write_carefully
from servegraph.wire.translate import translate


def dumps(body: Any) -> bytes:
    """Return a body as JSON.

    numpy and pandas objects, dates, bytes (as base64), sets, tuples, decimals (as text), UUIDs, dataclasses
    and msgspec structs are understood; NaN and infinity become ``null``, durations seconds, a table its rows.
    Raises StepError naming the type and place of what is none of these.
    """
    try:
        return orjson.dumps(body, translate)
    except TypeError:
        pass
    try:
        return orjson.dumps(body, translate, orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return write_carefully(body)


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Return what JSON text says; raises BadEvent with the place where the text is wrong."""
    try:
        return msgspec.json.decode(data)  # as fast as orjson, which makes floats of integers beyond 64 bits
    except (ValueError, RecursionError):
        return _loads_or_tell(data)


def _loads_or_tell(data: bytes | bytearray | memoryview | str) -> Any:
    """Read deeper nesting than the fast way does, and say where the text is wrong."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadEvent(f"the body is not valid JSON: {error.msg} at {where}") from None


def is_json(content_type: str) -> bool:
    """Say whether a content type means JSON: ``application/json`` or ``...+json``, with any parameters."""
    return content_type == "application/json" or (bool(content_type) and _names_json(content_type))


@lru_cache(maxsize=256)
def _names_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or media.endswith("+json")
