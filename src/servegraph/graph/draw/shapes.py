"""How large each box is, and what is written where inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from servegraph.graph.draw.scene import Box
from servegraph.graph.draw.text import clip, clip_start, width

Direction: TypeAlias = Literal["LR", "TB"]

TITLE: Final = 13.0
DETAIL: Final = 11.0
CELL_TITLE: Final = 12.0
CELL_DETAIL: Final = 10.0
PAD: Final = 16.0
CAP: Final = 9.0
"""How far the round ends of a queue reach inwards."""

_TEXT_ROOM: Final = 190.0
_CELL_ROOM: Final = 150.0
_CELL_PAD: Final = 11.0
_CELL_GAP: Final = 6.0
_FRAME: Final = 10.0
_FULL_ROUTES: Final = 8


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text, clipped to its room: its left end, or its middle if centred, and its baseline.

    Both count from the top left corner of its box.
    """

    text: str
    x: float
    y: float
    size: float
    bold: bool
    centred: bool = False

    @property
    def width(self) -> float:
        """How many pixels the text takes."""
        return width(self.text, self.size, self.bold)


@dataclass(frozen=True, slots=True)
class Cell:
    """A route inside its router's box; positions count from the router's top left corner."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a box in pixels, with its labels and the cells of its routes."""

    width: float
    height: float
    labels: tuple[Label, ...]
    cells: tuple[Cell, ...] = field(default=())


def shape_of(box: Box, direction: Direction) -> Shape:
    """Return how a box is to look; routes stand in columns where the graph runs from left to right, else in rows."""
    if box.kind in ("event", "failure", "answer"):
        return _pill(box)
    if box.routes:
        return _router(box, direction)
    left, right = (PAD + 4, PAD + 12) if box.kind == "queue" else (PAD, PAD)
    labels = _two_lines(box, TITLE, DETAIL, _TEXT_ROOM, left, 20.0)
    return Shape(max(108.0, _widest(labels) + left + right), 48.0, labels)


def _pill(box: Box) -> Shape:
    span, height = width(box.title, CELL_TITLE, bold=True) + 28.0, 28.0
    return Shape(span, height, (Label(box.title, span / 2, height / 2 + 4.2, CELL_TITLE, True, centred=True),))


def _two_lines(box: Box, title: float, detail: float, room: float, left: float, baseline: float) -> tuple[Label, ...]:
    """Return the name and, where it says something new, what runs below it."""
    name = clip(box.title, room, title, bold=True)
    if not box.detail or box.detail.rpartition(".")[2] == box.title:
        return (Label(name, left, baseline + 8.0, title, True),)
    below = box.detail if box.detail.startswith("(") else ""
    below = clip(below, room, detail) if below else clip_start(box.detail, room, detail)
    return (Label(name, left, baseline, title, True), Label(below, left, baseline + 17.0, detail, False))


def _widest(labels: tuple[Label, ...]) -> float:
    return max((label.width for label in labels), default=0.0)


def _router(box: Box, direction: Direction) -> Shape:
    head = _two_lines(box, TITLE, DETAIL, _TEXT_ROOM, PAD, 21.0)
    top = 48.0 if len(head) == 2 else 40.0
    if len(head) == 1:
        head = (Label(head[0].text, PAD, 25.0, TITLE, True),)
    full = len(box.routes) <= _FULL_ROUTES
    insides = [_inside(route, full) for route in box.routes]
    cell_width = max(86.0, max(map(_widest, insides)) + 2 * _CELL_PAD)
    cell_height = 40.0 if full and any(len(labels) == 2 for labels in insides) else 26.0
    columns, rows = _grid(len(insides), direction, cell_width, cell_height)
    wide = columns * (cell_width + _CELL_GAP) - _CELL_GAP
    total = max(wide + 2 * _FRAME, _widest(head) + 2 * PAD, 128.0)
    cell_width += (total - 2 * _FRAME - wide) / columns
    cells = []
    for number, (route, labels) in enumerate(zip(box.routes, insides, strict=True)):
        column, row = divmod(number, rows) if direction == "LR" else divmod(number, columns)[::-1]
        x = _FRAME + column * (cell_width + _CELL_GAP)
        y = top + row * (cell_height + _CELL_GAP)
        cells.append(Cell(route, x, y, cell_width, cell_height, _centred(labels, cell_height)))
    return Shape(total, top + rows * (cell_height + _CELL_GAP) - _CELL_GAP + _FRAME, head, tuple(cells))


def _inside(route: Box, full: bool) -> tuple[Label, ...]:
    shown = route if full else Box(route.kind, route.title)
    return _two_lines(shown, CELL_TITLE, CELL_DETAIL, _CELL_ROOM, _CELL_PAD, 17.0)


def _centred(labels: tuple[Label, ...], height: float) -> tuple[Label, ...]:
    if len(labels) == 2:
        return labels
    only = labels[0]
    return (Label(only.text, only.x, height / 2 + 4.2, only.size, only.bold),)


def _grid(count: int, direction: Direction, cell_width: float, cell_height: float) -> tuple[int, int]:
    """Return columns and rows: one column of up to eight from left to right, else about twice as wide as high."""
    if direction == "LR":
        columns = 1 if count <= _FULL_ROUTES else max(2, round(math.sqrt(count * cell_height / cell_width)))
    else:
        columns = min(count, max(3, round(math.sqrt(2 * count * cell_height / cell_width))))
    rows = -(-count // columns)
    return -(-count // rows), rows
