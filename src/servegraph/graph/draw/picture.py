"""A finished picture: it shows itself in notebooks, prints as Mermaid, and saves itself in any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Final

from servegraph.errors import GraphError, nearest
from servegraph.graph.draw.layout import Layout, lay_out
from servegraph.graph.draw.mermaid import mermaid_of
from servegraph.graph.draw.png import png_of
from servegraph.graph.draw.scene import Scene
from servegraph.graph.draw.shapes import Direction
from servegraph.graph.draw.style import Theme
from servegraph.graph.draw.svg import svg_of


@dataclass(frozen=True)
class Picture:
    """A graph's picture; ``str()`` is its Mermaid text.

    ``theme`` is "light", "dark" or "auto": as the screen that shows it; PNG is light unless it is "dark". ``scale`` is
    how many pixels PNG has for one of SVG.
    """

    scene: Scene
    direction: Direction = "LR"
    title: str = "serving graph"
    theme: Theme = "auto"
    scale: float = 2.0

    @cached_property
    def layout(self) -> Layout:
        """Where everything stands."""
        return lay_out(self.scene, self.direction)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return svg_of(self.scene, self.layout, self.title, self.theme)

    @cached_property
    def mermaid(self) -> str:
        """The picture as Mermaid text."""
        return mermaid_of(self.scene, self.direction)

    @property
    def html(self) -> str:
        """The picture as a piece of HTML that scrolls where it is too wide."""
        return f'<div style="overflow-x:auto">{self.svg}</div>'

    def png(self) -> bytes:
        """Return the picture as PNG; raises MissingExtra without the extra ``draw``."""
        theme: Theme = "dark" if self.theme == "dark" else "light"
        return png_of(svg_of(self.scene, self.layout, self.title, theme), self.scale)

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write the picture and return where: the format is the suffix's unless given, a missing suffix is added."""
        path = Path(path)
        kind = format_of(path, format)
        if not path.suffix:
            path = path.with_suffix(f".{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_FORMATS[kind](self))
        return path

    def __str__(self) -> str:
        return self.mermaid

    def __repr__(self) -> str:
        return f"<Picture of {len(self.scene.boxes)} boxes and {len(self.scene.arrows)} arrows, {self.direction}>"

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "image/svg+xml": self.svg, "text/plain": self.mermaid}


def format_of(path: Path, format: str | None) -> str:
    """Return the format to write: the one given, else the one of the suffix, else SVG; raises GraphError."""
    asked = (format or path.suffix or "svg").lower().lstrip(".")
    kind = _ALIASES.get(asked, asked)
    if kind not in _FORMATS:
        known = ", ".join(_FORMATS)
        where = "format" if format else f"the suffix of '{path}':"
        hint = nearest(asked, [*_FORMATS, *_ALIASES])
        raise GraphError(f"cannot draw {where} '{asked}', known formats are: {known}{hint}", code="format")
    return kind


def _page(picture: Picture) -> str:
    head = f'<meta charset="utf-8"><title>{escape(picture.title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{picture.html}\n</body></html>\n'


_FORMATS: Final[dict[str, Callable[[Picture], bytes]]] = {
    "svg": lambda picture: picture.svg.encode(),
    "png": Picture.png,
    "mmd": lambda picture: picture.mermaid.encode(),
    "md": lambda picture: f"```mermaid\n{picture.mermaid}```\n".encode(),
    "html": lambda picture: _page(picture).encode(),
}
_ALIASES: Final = {"mermaid": "mmd", "markdown": "md", "htm": "html"}
