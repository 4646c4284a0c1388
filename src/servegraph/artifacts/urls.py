"""What a URL of a file says: how to open it, where it is here, and how to name it without its secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from servegraph.errors import ArtifactError

# A single letter before the colon is a drive, not a scheme.
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(?=//|:)")


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case (``"s3"``), or ``""`` for a path."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def is_local(url: str) -> bool:
    """Say whether a URL names a file of this machine: a path or ``file://``."""
    return scheme_of(url) in ("", "file")


def local_path(url: str) -> Path:
    """Return the path behind a local URL; ``~`` is the user's home."""
    if scheme_of(url) != "file":
        return Path(os.path.expanduser(url))
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ArtifactError(f"'{public(url)}' names a file of another machine; write file:///path")
    return Path(unquote(parts.path))


def file_name(url: str) -> str:
    """Return the name of the file that a URL ends with, safe to use here; ``"artifact"`` where none is."""
    path = unquote(urlsplit(url).path) if scheme_of(url) in ("http", "https") else url
    name = re.split(r"[/\\]", path.rstrip("/"))[-1].replace("\0", "")
    return "artifact" if name in ("", ".", "..") else name


def public(url: str) -> str:
    """Return a URL as it may stand in a message: without user, password and query (often a signature)."""
    if not scheme_of(url):
        return url
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    start, slashes, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return f"{start}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def told_without(url: str, error: Exception) -> str:
    """Return what an error says, with its type and without the secrets of a URL."""
    return f"{type(error).__name__}: {error}".replace(url, public(url)).removesuffix(": ")
