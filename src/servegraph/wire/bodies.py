"""What the bytes of a request become, and what becomes of an answer's body."""

from __future__ import annotations

import codecs
from email.message import Message
from functools import lru_cache
from typing import Any, Final

from servegraph.errors import BadEvent
from servegraph.wire.json import dumps, is_json, loads

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"

# The ways to read a body: JSON or nothing, JSON where it is that, as it comes; others are encodings of text.
_STRICT: Final = "json"
_GUESS: Final = "guess"
_RAW: Final = "raw"


def read_body(body: Any, content_type: str) -> Any:
    """Return what a request's body means by its content type.

    JSON types are parsed (BadEvent where that fails); no type at all, or the one that ``curl -d`` sends, is
    parsed where it is JSON and else left as it came; ``text/*`` becomes ``str``; other bytes stay bytes. No
    bytes are ``None``. What is neither bytes nor ``str`` is returned as it is.
    """
    if isinstance(body, str):
        return _read_text(body, content_type)
    if not isinstance(body, bytes | bytearray | memoryview):
        return body
    if not body:
        return None
    if content_type == JSON:
        return loads(body)
    way = _way_to_read(content_type)
    if way is _GUESS:
        return _parsed_or_same(body)
    if way is _STRICT:
        return loads(body)
    return bytes(body) if way is _RAW else _decoded(bytes(body), way)


def write_body(body: Any) -> tuple[bytes, str]:
    """Return a body as bytes with their content type; raises StepError for what cannot be written."""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass"), TEXT
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), BYTES
    return dumps(body), JSON


def _read_text(body: str, content_type: str) -> Any:
    if content_type == JSON:
        return loads(body) if body else None
    way = _way_to_read(content_type)
    if way is _GUESS:
        return _parsed_or_same(body)
    if way is _STRICT:
        return loads(body) if body else None
    return body


def _parsed_or_same(body: Any) -> Any:
    try:
        return loads(body)
    except BadEvent:
        return body


def _decoded(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadEvent(f"the body is not {encoding} text: {error.reason} at byte {error.start}") from None


@lru_cache(maxsize=256)
def _way_to_read(content_type: str) -> str:
    if is_json(content_type):
        return _STRICT
    media = content_type.partition(";")[0].strip().lower()
    if media in ("", "application/x-www-form-urlencoded"):
        return _GUESS
    return _encoding_of(content_type) if media.startswith("text/") else _RAW


def _encoding_of(content_type: str) -> str:
    header = Message()
    header["content-type"] = content_type
    encoding = header.get_content_charset() or "utf-8"
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise BadEvent(f"the body's encoding '{encoding}' is not known; send it as utf-8") from None
