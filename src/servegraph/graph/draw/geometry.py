"""Points, rectangles and paths, in pixels; y grows downwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """A place in the picture."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Rect:
    """An upright rectangle by its top left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.y + self.height

    def overlaps(self, other: Rect) -> bool:
        """Say whether both cover some same area; touching is none."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def grown(self, by: float, top: float | None = None) -> Rect:
        """Return the rectangle with a margin, its upper side's given separately."""
        above = by if top is None else top
        return Rect(self.x - by, self.y - above, self.width + 2 * by, self.height + above + by)


@dataclass(frozen=True, slots=True)
class Curve:
    """A piece of a path: a cubic Bézier curve from where the piece before it ends; a straight line is one, too."""

    first: Point
    second: Point
    end: Point


@dataclass(frozen=True, slots=True)
class Path:
    """A start and the curves that lead on from it."""

    start: Point
    curves: tuple[Curve, ...]

    def points(self, pieces: int = 16) -> list[Point]:
        """Return points along the path, ``pieces`` to a curve."""
        found, here = [self.start], self.start
        for curve in self.curves:
            found += [_on(here, curve, step / pieces) for step in range(1, pieces + 1)]
            here = curve.end
        return found


def _on(start: Point, curve: Curve, at: float) -> Point:
    back = 1 - at
    a, b, c, d = back**3, 3 * back * back * at, 3 * back * at * at, at**3
    return Point(
        a * start.x + b * curve.first.x + c * curve.second.x + d * curve.end.x,
        a * start.y + b * curve.first.y + c * curve.second.y + d * curve.end.y,
    )


def line(start: Point, end: Point) -> Curve:
    """Return a straight piece."""
    return Curve(start, end, end)


def around(rects: Iterable[Rect]) -> Rect:
    """Return the smallest rectangle that holds all of some rectangles, of which there is one at least."""
    every = list(rects)
    x, y = min(rect.x for rect in every), min(rect.y for rect in every)
    return Rect(x, y, max(rect.right for rect in every) - x, max(rect.bottom for rect in every) - y)
