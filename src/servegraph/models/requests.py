"""Requests to models and their answers, in the list style: ``{"inputs": [...]}`` and ``{"outputs": [...]}``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote

from servegraph.errors import BadEvent, GraphError
from servegraph.wire.json import loads

READS: Final = frozenset({"GET", "HEAD"})
"""The methods that ask about a model."""

WRITES: Final = frozenset({"POST", "PUT", "PATCH", ""})
"""The methods that send it something."""

Schema = list[dict[str, Any]]


def read_request(body: Any, content_type: str, key: str) -> Any:
    """Return a request as the model's hooks see it: JSON text is parsed, an image becomes the only input.

    Bytes that are neither are returned as they are, for hooks that know what to do with them.
    """
    if not isinstance(body, str | bytes | bytearray | memoryview):
        return body
    if not body:
        return None
    if content_type.startswith("image/") and not isinstance(body, str):
        return {key: [BytesIO(body)]}
    try:
        return loads(body)
    except BadEvent:
        return body


def check_request(request: Any, key: str) -> dict[str, Any]:
    """Return the request when it is an object with a list of inputs; raises BadEvent saying what is wrong.

    Arrays are taken as the lists that any other door would have made of them.
    """
    if not isinstance(request, dict):
        if isinstance(request, str | bytes):
            loads(request)  # says where the text is not JSON
        raise BadEvent(f'Expected a JSON object with the key "{key}" as the body, not {_json_type(request)}')
    if key not in request:
        raise BadEvent(f'Expected key "{key}" in request body')
    inputs = request[key]
    if isinstance(inputs, list):
        return request
    to_list = getattr(inputs, "tolist", list if isinstance(inputs, tuple) else None)
    if to_list is None:
        raise BadEvent(f'Expected "{key}" to be a list, not {_json_type(inputs)}')
    return {**request, key: to_list() if to_list is not list else list(inputs)}


def rows_from_dicts(request: Any, key: str, schema: Schema, model: str) -> dict[str, Any]:
    """Return a request whose inputs, one dict or a list of them, became rows in the order of the model's schema."""
    names = [column["name"] for column in schema]
    if not names:
        raise BadEvent(f"model '{model}' cannot take dicts: it does not know the order of its inputs (inputs=...)")
    if not isinstance(request, dict) or key not in request:
        check_request(request, key)
    rows = request[key]
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadEvent(f'Expected "{key}" to be a dict or a list of dicts, one for each row')
    for number, row in enumerate(rows):
        missing = [name for name in names if name not in row]
        if missing:
            raise BadEvent(f'row {number} of "{key}" lacks {", ".join(missing)}; needed are {", ".join(names)}')
    return {**request, key: [[row[name] for name in names] for row in rows]}


def read_schema(columns: Sequence[Any] | None, what: str) -> Schema:
    """Return inputs or outputs as a list of ``{"name", "datatype", "shape"}``; a bare name stands for itself alone."""
    if isinstance(columns, str | Mapping):
        columns = [columns]
    schema = [{"name": each} if isinstance(each, str) else dict(each) for each in columns or ()]
    for column in schema:
        if not isinstance(column.get("name"), str):
            raise GraphError(f"each of {what}= is a name or a dict with 'name', 'datatype' and 'shape': {column}")
    return schema


def operation_in(path: str, knows: Callable[[str], bool]) -> str | None:
    """Return the operation that a URL path names for a model without a router: ``""`` for the model itself.

    ``/v2/models/<any>/<operation>`` names one, any other path does when it ends in one that the model ``knows``;
    ``None`` means that the path has nothing to do with models.
    """
    segments = [unquote(segment) for segment in path.split("/") if segment]
    if segments[1:2] == ["models"] and len(segments) > 2:
        rest = segments[5:] if segments[3:4] == ["versions"] else segments[3:]
        return "/".join(rest)
    if not segments:
        return ""
    return segments[-1] if knows(segments[-1]) else None


def split_key(key: str) -> tuple[str, str]:
    """Split ``"model:version"`` into both; a key without a version has the version ``""``."""
    name, _, version = key.partition(":")
    return name, version


def timestamp() -> str:
    """Return the time as answers carry it: ``2026-01-31 12:00:00.123456+00:00``."""
    global _second
    second, micro = divmod(time.time_ns() // 1000, 1_000_000)
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        _second = (second, text)
    return f"{text}.{micro:06d}+00:00"


# Formatting a whole date for every answer would cost more than a small model; one pair, so that threads never mix.
_second: tuple[int, str] = (0, "")


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "nothing", bytes: "bytes"}
    return names.get(type(value), f"a value of type {type(value).__name__}")
