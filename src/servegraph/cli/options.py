"""Option values that click has no type for."""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

import click

Settings: TypeAlias = dict[str, Any]

_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Size(click.ParamType[int]):
    """A number of bytes, such as ``500k`` or ``10MB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes; units are powers of 1024."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", str(value).strip().lower())
        if match is None:
            self.fail(f"'{value}' is no size; write it like 500k or 10MB", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


def pair(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` (for headers ``NAME:VALUE``) options as a dict; values of settings are read as JSON."""
    mark = ":" if param.name == "headers" else "="
    found: dict[str, Any] = {}
    for value in values:
        name, is_there, text = value.partition(mark)
        if not is_there:
            raise click.BadParameter(f"'{value}' has no '{mark}'", ctx, param)
        found[name.strip()] = text.strip() if mark == ":" else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
