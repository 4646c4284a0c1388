"""A layout as SVG: one file, no script, no outside reference, readable on light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from servegraph.graph.draw.frames import LEGEND_TEXT, Frame, functions_of
from servegraph.graph.draw.geometry import Path, Point, Rect
from servegraph.graph.draw.layout import Layout, Placed, Way
from servegraph.graph.draw.route import TIP
from servegraph.graph.draw.scene import Box, Scene
from servegraph.graph.draw.shapes import CAP, Cell, Label
from servegraph.graph.draw.style import PARTS, Theme, css
from servegraph.graph.draw.text import clip

_LINE_CLASS: Final = {"flow": "flow", "answer": "to-answer", "error": "error", "recovery": "flow", "back": "back"}


def svg_of(scene: Scene, layout: Layout, title: str, theme: Theme) -> str:
    """Return the picture as the text of an SVG file."""
    return "\n".join(_lines(scene, layout, title, theme)) + "\n"


def _lines(scene: Scene, layout: Layout, title: str, theme: Theme) -> Iterator[str]:
    width, height = math.ceil(layout.width), math.ceil(layout.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{_attribute(title)}">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f"<desc>{escape(scene.describe())}</desc>"
    yield f"<style>{css(theme)}</style>"
    yield _rect("paper", Rect(0.5, 0.5, width - 1, height - 1), 12)
    colours = {name: number % PARTS for number, name in enumerate(functions_of(scene))}
    yield from map(_frame, layout.frames)
    yield from map(_way, layout.ways)
    yield from map(_frame_name, layout.frames)
    for placed in layout.boxes:
        yield _box(placed, colours.get(placed.box.function))
    yield from map(_swatch, layout.legend)
    yield "</svg>"


def _frame(frame: Frame) -> str:
    return f"<g>{_function_title(frame)}{_rect(f'part p{frame.number % PARTS}', frame.rect, 10)}</g>"


def _frame_name(frame: Frame) -> str:
    """Return the name of a frame, drawn over the arrows that may pass there."""
    rect = frame.rect
    name = clip(frame.function, rect.width - 22, LEGEND_TEXT, bold=True)
    label = _text(Label(name, rect.x + 11, rect.y + 16, LEGEND_TEXT, True), f" name p{frame.number % PARTS}")
    return f"<g>{_function_title(frame)}{label}</g>"


def _function_title(frame: Frame) -> str:
    return f"<title>function {escape(frame.function)}</title>"


def _swatch(swatch: Frame) -> str:
    rect = swatch.rect
    label = _text(Label(swatch.function, rect.right + 6, rect.y + 9.5, LEGEND_TEXT, True))
    colour = _rect(f"bar p{swatch.number % PARTS}", rect, 3)
    return f"<g>{_function_title(swatch)}{colour}{label}</g>"


def _way(way: Way) -> str:
    path, tip = _shortened(way.path)
    name = escape(way.arrow.tooltip)
    return (
        f'<g class="{_LINE_CLASS[way.arrow.kind]}"><title>{name}</title>'
        f'<path class="wire" d="{path}"/><polygon class="tip" points="{tip}"/></g>'
    )


def _shortened(path: Path) -> tuple[str, str]:
    """Return the path up to its arrow head, and the head; the last piece of a path is straight.

    The path is written from its end to its start: then the dashes of arrows that run together fall on one another.
    """
    last = path.curves[-1]
    end, dx, dy = last.end, last.end.x - last.first.x, last.end.y - last.first.y
    length = math.hypot(dx, dy)
    dx, dy = dx / length * TIP, dy / length * TIP
    base = Point(end.x - dx, end.y - dy)
    pieces = [f"M{_at(base)}L{_at(last.first)}"]
    starts = [path.start, *(curve.end for curve in path.curves)]
    for start, curve in reversed(list(zip(starts, path.curves[:-1], strict=False))):
        straight = curve.second == curve.end
        pieces.append(f"L{_at(start)}" if straight else f"C{_at(curve.second)} {_at(curve.first)} {_at(start)}")
    left, right = Point(base.x - dy / 2, base.y + dx / 2), Point(base.x + dy / 2, base.y - dx / 2)
    return "".join(pieces), " ".join(map(_at, (end, left, right)))


def _box(placed: Placed, part: int | None) -> str:
    box, rect = placed.box, placed.rect
    classes = f"{box.kind} respond" if box.responder else box.kind
    parts = [f'<g class="{classes}" transform="translate({_n(rect.x)} {_n(rect.y)})">', _title(box)]
    parts += _body(box, rect.width, rect.height)
    if box.kind not in ("event", "failure", "answer", "queue") or part is not None:
        parts.append(_bar(box, rect.height, part))
    parts += [_text(label) for label in placed.shape.labels]
    parts += [_cell(cell) for cell in placed.shape.cells]
    return "".join(parts) + "</g>"


def _title(box: Box) -> str:
    return f"<title>{escape(box.tooltip)}</title>" if box.tooltip else ""


def _body(box: Box, width: float, height: float) -> Iterator[str]:
    if box.kind == "queue":
        across, down = CAP, height / 2
        right = width - across
        arc = f"A{_n(across)} {_n(down)} 0 0"
        yield (
            f'<path class="body" d="M{_n(across)} 0H{_n(right)}{arc} 1 {_n(right)} {_n(height)}'
            f'H{_n(across)}{arc} 1 {_n(across)} 0Z"/>'
            f'<path class="lid" d="M{_n(right)} 0{arc} 0 {_n(right)} {_n(height)}"/>'
        )
    else:
        radius = height / 2 if box.kind in ("event", "failure", "answer") else 8
        yield _rect("body", Rect(0, 0, width, height), radius)


def _bar(box: Box, height: float, part: int | None) -> str:
    """Return the coloured bar that tells a box's kind, or its function where functions are told apart."""
    classes = "bar" if part is None else f"bar p{part}"
    x = CAP + 2 if box.kind == "queue" else 6.0
    tall = 36.0 if box.kind == "router" else height
    return _rect(classes, Rect(x, 10, 3.5, tall - 20), 1.75)


def _cell(cell: Cell) -> str:
    inside = "".join(map(_text, cell.labels))
    frame = _rect("cell", Rect(0, 0, cell.width, cell.height), 6)
    return f'<g transform="translate({_n(cell.x)} {_n(cell.y)})">{_title(cell.box)}{frame}{inside}</g>'


def _text(label: Label, more: str = "") -> str:
    classes = ("b" if label.bold else "soft") + (" mid" if label.centred else "") + more
    return (
        f'<text class="{classes}" x="{_n(label.x)}" y="{_n(label.y)}" '
        f'font-size="{_n(label.size)}">{escape(label.text)}</text>'
    )


def _rect(classes: str, rect: Rect, radius: float) -> str:
    return (
        f'<rect class="{classes}" x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" '
        f'height="{_n(rect.height)}" rx="{_n(radius)}"/>'
    )


def _at(point: Point) -> str:
    return f"{_n(point.x)},{_n(point.y)}"


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".") if number else "0"


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})
