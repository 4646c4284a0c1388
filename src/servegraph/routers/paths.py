"""What the URL paths of a model router mean, and which version of a model is the newest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

Kind = Literal["model", "models", "server", "root", "live", "ready", "unknown"]

_KEPT: Final = 1024
_LONGEST_KEPT: Final = 256
_PIECES: Final = re.compile(r"(\d+)")


class Target(NamedTuple):
    """What a path leads to; for a ``model`` its key (``"name"`` or ``"name:version"``) and the operation on it."""

    kind: Kind
    key: str = ""
    operation: str = ""


class Targets(dict[str, Target]):
    """What each path leads to; looked up like a dict, and worked out at the first look."""

    def __init__(self, url_prefix: str, health_prefix: str) -> None:
        """Take the prefixes of models and of health checks."""
        super().__init__()
        self._models = _segments(url_prefix)
        self._health = _segments(health_prefix)

    def __missing__(self, path: str) -> Target:
        target = self._target(_segments(path))
        # Paths come from clients, so neither their number nor their length may grow the process.
        if len(path) <= _LONGEST_KEPT:
            if len(self) >= _KEPT:
                self.clear()
            self[path] = target
        return target

    def _target(self, segments: list[str]) -> Target:
        if not segments:
            return Target("root")
        depth = len(self._health)
        if segments[:depth] == self._health:
            return _health_target(segments[depth:])
        depth = len(self._models)
        if segments[:depth] == self._models:
            return _model_target(segments[depth:])
        return Target("server" if segments == self._models[:-1] else "unknown")


def newest(name: str, keys: Iterable[str]) -> str | None:
    """Return the key of the newest version of a model (``v10`` is newer than ``v9``); ``None`` where there is none."""
    prefix = f"{name}:"
    versions = [key for key in keys if key.startswith(prefix)]
    return max(versions, key=_natural) if versions else None


def _natural(key: str) -> list[tuple[int, str]]:
    # Numbers come at the odd places of the split, so that like is compared with like.
    pieces = _PIECES.split(key)
    return [(int(piece), "") if place % 2 else (0, piece) for place, piece in enumerate(pieces)]


def _segments(path: str) -> list[str]:
    segments = [segment for segment in path.split("/") if segment]
    return [unquote(segment) for segment in segments] if "%" in path else segments


def _health_target(rest: list[str]) -> Target:
    if rest == ["live"]:
        return Target("live")
    return Target("ready") if rest == ["ready"] else Target("server")


def _model_target(rest: list[str]) -> Target:
    if not rest:
        return Target("models")
    key = rest[0]
    if rest[1:2] == ["versions"] and len(rest) > 2:
        return Target("model", f"{key.partition(':')[0]}:{rest[2]}", "/".join(rest[3:]))
    return Target("model", key, "/".join(rest[1:]))
