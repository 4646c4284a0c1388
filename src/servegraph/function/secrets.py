"""The secrets of a function: read from where ``fn.with_secrets`` says."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from servegraph.errors import GraphError, nearest

logger = logging.getLogger("servegraph")

ELSEWHERE: Final = ("kubernetes", "azure_vault", "vault")
"""Kinds that only a cluster can read; they are kept in the spec."""


def checked_source(kind: str, source: Any) -> dict[str, Any]:
    """Return one source as it stands in a spec; raises GraphError for an unknown kind or what is not its form."""
    known = (*_READERS, *ELSEWHERE)
    if kind not in known:
        raise GraphError(
            f"unknown kind of secrets '{kind}', known are: {', '.join(known)}{nearest(kind, known)}", code="secrets"
        )
    if kind == "inline" and not isinstance(source, Mapping):
        raise GraphError("with_secrets('inline', ...) takes a dict of names and values", code="secrets")
    return {"kind": kind, "source": dict(source) if isinstance(source, Mapping) else source}


def read_secrets(sources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return all secrets that can be read here, later sources first in rank; warns of those that cannot."""
    found: dict[str, str] = {}
    for source in sources:
        kind = str(source.get("kind"))
        read = _READERS.get(kind)
        if read is None:
            logger.warning("secrets of kind '%s' cannot be read here; give them as env, file or inline", kind)
        else:
            found |= read(source.get("source"))
    return found


def _inline(source: Any) -> dict[str, str]:
    if isinstance(source, Mapping):
        return {str(name): str(value) for name, value in source.items()}
    # An exported function keeps only the names of its inline secrets.
    return _from_environment([str(name) for name in source or ()])


def _file(source: Any) -> dict[str, str]:
    path = Path(source)
    if not path.is_file():
        raise GraphError(f"with_secrets('file', ...): there is no file '{path}'", code="secrets")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return {name.strip().removeprefix("export "): value.strip().strip("\"'") for name, value in pairs}


def _env(source: Any) -> dict[str, str]:
    names = source.split(",") if isinstance(source, str) else source
    return _from_environment([str(name).strip() for name in names or () if str(name).strip()])


def _from_environment(names: list[str]) -> dict[str, str]:
    missing = [name for name in names if name not in os.environ]
    if missing:
        logger.warning("secrets that are not in the environment: %s", ", ".join(missing))
    return {name: os.environ[name] for name in names if name in os.environ}


_READERS: Final[dict[str, Callable[[Any], dict[str, str]]]] = {"inline": _inline, "file": _file, "env": _env}
