"""An SVG as PNG, by resvg and with a font of its own: no system binary, no installed font is needed."""

from __future__ import annotations

import importlib

from servegraph.errors import MissingExtra


def png_of(svg: str, scale: float, system_fonts: bool = True) -> bytes:
    """Return an SVG picture as PNG, ``scale`` pixels to one of the SVG's.

    Letters that Roboto does not have come from the system's fonts where there are any. Raises MissingExtra.
    """
    try:
        resvg = importlib.import_module("resvg_py")
        fonts = importlib.import_module("fontpkg")
    except ImportError as error:
        raise MissingExtra("PNG pictures", "draw") from error
    png: bytes = resvg.svg_to_bytes(
        svg_string=svg,
        zoom=scale,
        font_files=[str(fonts.path("Roboto"))],
        font_family="Roboto",
        sans_serif_family="Roboto",
        skip_system_fonts=not system_fonts,
    )
    return png
