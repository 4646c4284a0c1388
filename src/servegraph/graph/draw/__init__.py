"""Draw a graph: SVG, Mermaid and HTML with nothing else installed, PNG with the extra ``draw``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

from servegraph.errors import GraphError, nearest
from servegraph.graph.draw.picture import Picture, format_of
from servegraph.graph.draw.scene import scene_of
from servegraph.graph.draw.shapes import Direction
from servegraph.graph.draw.style import Theme
from servegraph.graph.draw.text import clean
from servegraph.graph.spec import GraphSpec

__all__ = ["Picture", "plot"]

_DIRECTIONS: Final[dict[str, Direction]] = {"LR": "LR", "TB": "TB", "TD": "TB"}
_OPTIONS: Final = ("title", "theme", "scale")
_MOST_SCALE: Final = 20


def plot(
    spec: GraphSpec,
    filename: str | Path | None = None,
    format: str | None = None,
    rankdir: str = "LR",
    **options: Any,
) -> Picture:
    """Return a graph's picture, and write it where a filename is given.

    ``format`` is "svg", "png", "mmd" (Mermaid), "md" (Mermaid in Markdown) or "html", by default what the filename's
    suffix says; ``rankdir`` is "LR" (left to right) or "TB" (top to bottom). Options are ``title``, ``theme`` ("auto",
    "light", "dark") and ``scale`` (of PNG). Raises GraphError for an unknown format, TypeError for an unknown option.
    """
    _check(options)
    direction = _DIRECTIONS.get(rankdir.upper())
    if direction is None:
        raise GraphError(f"unknown rankdir '{rankdir}', known are: {', '.join(_DIRECTIONS)}", code="rankdir")
    if filename is not None or format is not None:
        format_of(Path(filename or ""), format)
    picture = Picture(scene_of(spec), direction, **options)
    if filename is not None:
        picture.save(filename, format)
    return picture


def _check(options: dict[str, Any]) -> None:
    for name in options:
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise TypeError(f"plot() has no option '{name}', known are: {known}{nearest(name, _OPTIONS)}")
    theme, themes = options.get("theme", "auto"), get_args(Theme)
    if theme not in themes:
        raise GraphError(f"unknown theme '{theme}', known are: {', '.join(themes)}", code="theme")
    scale = options.get("scale", 2.0)
    if not isinstance(scale, int | float) or not 0.1 <= scale <= _MOST_SCALE:
        raise GraphError(f"scale is a number from 0.1 to {_MOST_SCALE}, not {scale!r}", code="scale")
    if "title" in options:
        options["title"] = clean(str(options["title"]))
