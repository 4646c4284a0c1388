"""The way of each arrow: straight through the layers, curved in the gaps between them, where no box stands.

All here is seen from left to right: ``x`` runs along the layers, ``y`` across. A picture from top to bottom is the
same, turned. Back arrows run in lanes above everything they pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from servegraph.graph.draw.geometry import Curve, Path, Point, Rect, line
from servegraph.graph.draw.layers import Layering

LANE: Final = 14.0
TIP: Final = 8.0
"""How long an arrow's head is: so long is the last, straight piece of its way at least."""

_BEND: Final = 9.0
_STUB: Final = 12.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where boxes and layers are: rectangles of boxes, ``y`` of every node, ``[left, right]`` of every layer."""

    made: Layering
    rects: Sequence[Rect]
    across: Sequence[float]
    spans: Sequence[tuple[float, float]]


def forward(ground: Ground, chain: Sequence[int], port: float) -> Path:
    """Return the way of an arrow along its chain; it leaves its first box at ``port`` pixels from the box's middle."""
    tail, head = ground.rects[chain[0]], ground.rects[chain[-1]]
    y = ground.across[chain[0]] + port
    start = level_from = Point(tail.right, y)
    curves: list[Curve] = []
    for node, following in pairwise(chain):
        rank, onward = ground.made.rank[node], ground.across[following]
        if onward != y:
            leave = Point(ground.spans[rank][1], y)
            level_from = Point(ground.spans[rank + 1][0] - TIP, onward)
            curves += [line(curves[-1].end if curves else start, leave), _sweep(leave, level_from)]
            y = onward
    curves.append(line(level_from, Point(head.x, y)))
    return Path(start, tuple(curves))


def _sweep(start: Point, end: Point) -> Curve:
    """Return a curve that leaves and arrives level, and stays between its ends."""
    middle = (start.x + end.x) / 2
    return Curve(Point(middle, start.y), Point(middle, end.y), end)


def backward(ground: Ground, edges: Mapping[int, tuple[int, int]], ceilings: Sequence[float]) -> dict[int, Path]:
    """Return the ways of back arrows ``{edge: (tail, head)}``; ``ceilings`` says above what ``y`` each layer is free.

    Short arrows run in the lower lanes, so that lanes do not cross one another without need; a box's arrow to itself
    stays right above it.
    """
    top = list(ceilings)
    rank = ground.made.rank
    ways: dict[int, Path] = {}
    by_length = sorted(edges, key=lambda edge: (abs(rank[edges[edge][0]] - rank[edges[edge][1]]), edge))
    for turn, edge in enumerate(by_length):
        tail, head = edges[edge]
        first, last = sorted((rank[tail], rank[head]))
        lane = (ground.rects[tail].y if tail == head else min(top[first : last + 1])) - LANE
        ways[edge] = _rounded(_corners(ground, tail, head, lane, turn))
        top[first : last + 1] = [min(lane, *top[first : last + 1])] * (last + 1 - first)
    return ways


def _corners(ground: Ground, tail: int, head: int, lane: float, turn: int) -> list[Point]:
    start, end = ground.rects[tail], ground.rects[head]
    corners = []
    loop = tail == head
    if loop or _is_topmost(ground, tail):
        x = start.x + start.width * 0.72
        corners += [Point(x, start.y), Point(x, lane)]
    else:
        y, x = ground.across[tail], ground.spans[ground.made.rank[tail]][1] + _STUB + 5 * (turn % 3)
        corners += [Point(start.right, y), Point(x, y), Point(x, lane)]
    if loop or _is_topmost(ground, head):
        x = end.x + end.width * 0.28
        corners += [Point(x, lane), Point(x, end.y)]
    else:
        y, x = ground.across[head], ground.spans[ground.made.rank[head]][0] - 2 * _STUB - 5 * (turn % 3)
        corners += [Point(x, lane), Point(x, y), Point(end.x, y)]
    return corners


def _is_topmost(ground: Ground, box: int) -> bool:
    return ground.made.layers[ground.made.rank[box]][0] == box


def _rounded(corners: Sequence[Point]) -> Path:
    """Return a path along level and upright lines, with its corners rounded off."""
    curves: list[Curve] = []
    here = corners[0]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        into = _towards(corner, before)
        out = _towards(corner, after)
        curves += [line(here, into), Curve(corner, corner, out)]
        here = out
    curves.append(line(here, corners[-1]))
    return Path(corners[0], tuple(curves))


def _towards(corner: Point, other: Point) -> Point:
    """Return the point a bend's length, or half the way, from a corner towards the next one."""
    dx, dy = other.x - corner.x, other.y - corner.y
    length = abs(dx) + abs(dy)
    part = min(_BEND, length / 2) / length if length else 0.0
    return Point(corner.x + dx * part, corner.y + dy * part)
