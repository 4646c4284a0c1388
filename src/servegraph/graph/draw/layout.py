"""Where everything of a scene stands: boxes in layers, arrows between them, frames around functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servegraph.graph.draw.frames import LEGEND_TEXT, Frame, frames_of, legend_of
from servegraph.graph.draw.geometry import Curve, Path, Point, Rect, around
from servegraph.graph.draw.layers import Edge, Layering, layer
from servegraph.graph.draw.order import untangle
from servegraph.graph.draw.place import place
from servegraph.graph.draw.route import LANE, Ground, backward, forward
from servegraph.graph.draw.scene import Arrow, ArrowKind, Box, Scene
from servegraph.graph.draw.settle import settle
from servegraph.graph.draw.shapes import Direction, Shape, shape_of
from servegraph.graph.draw.text import width

MARGIN: Final = 20.0
_WEIGHT: Final[dict[ArrowKind, int]] = {"answer": 3, "flow": 2, "recovery": 1, "error": 1, "back": 1}
_APART: Final = 26.0
_APART_BEND: Final = 22.0
_APART_FUNCTIONS: Final = 30.0
_GAP: Final = 54.0
_GAP_MOST: Final = 120.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its shape and where it stands."""

    box: Box
    shape: Shape
    rect: Rect


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow with the path it takes from its tail's edge to its head's."""

    arrow: Arrow
    path: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture's geometry; all of it lies between (0, 0) and ``width``, ``height``."""

    width: float
    height: float
    boxes: tuple[Placed, ...]
    ways: tuple[Way, ...]
    frames: tuple[Frame, ...]
    legend: tuple[Frame, ...]


def lay_out(scene: Scene, direction: Direction = "LR") -> Layout:
    """Return where everything of a scene stands; equal scenes give equal layouts."""
    shapes = [shape_of(box, direction) for box in scene.boxes]
    turned = direction == "TB"
    sizes = [Point(s.height, s.width) if turned else Point(s.width, s.height) for s in shapes]
    ground, paths = _arrange(scene, sizes)
    rects = [_turn(rect) for rect in ground.rects] if turned else list(ground.rects)
    if turned:
        paths = [_turn_path(path) for path in paths]
    frames = frames_of(scene, rects)
    return _moved(scene, shapes, rects, paths, frames)


def _arrange(scene: Scene, sizes: Sequence[Point]) -> tuple[Ground, list[Path]]:
    """Return all places and paths as seen from left to right; sizes are along and across the layers."""
    edges = [Edge(arrow.tail, arrow.head, _WEIGHT[arrow.kind], joins=arrow.kind == "error") for arrow in scene.arrows]
    declared = frozenset(n for n, arrow in enumerate(scene.arrows) if arrow.kind == "back")
    made = layer(len(scene.boxes), edges, declared)
    untangle(made)
    loops = {edge.head for number in made.back if (edge := edges[number]).tail == edge.head}

    def distance(one: int, two: int) -> float:
        bends = (one >= made.boxes) + (two >= made.boxes)
        if bends:
            apart = _APART_BEND
        else:
            strangers = scene.boxes[one].function != scene.boxes[two].function
            apart = _APART + strangers * _APART_FUNCTIONS
        apart += (two in loops) * LANE
        return apart + sum(sizes[node].y / 2 for node in (one, two) if node < made.boxes)

    across = place(made, distance)
    settle(made, across, distance)
    spans = _spans(made, across, sizes)
    rects = [
        Rect(sum(spans[made.rank[n]]) / 2 - size.x / 2, across[n] - size.y / 2, size.x, size.y)
        for n, size in enumerate(sizes)
    ]
    ground = Ground(made, rects, across, spans)
    return ground, _paths(scene, ground)


def _spans(made: Layering, across: Sequence[float], sizes: Sequence[Point]) -> list[tuple[float, float]]:
    """Return where each layer begins and ends; the steeper the arrows between two layers, the wider the gap."""
    spans: list[tuple[float, float]] = []
    left = 0.0
    for nodes in made.layers:
        right = left + max((sizes[node].x for node in nodes if node < made.boxes), default=0.0)
        spans.append((left, right))
        steepest = max((abs(across[n] - across[head]) for n in nodes for head in made.after[n]), default=0.0)
        left = right + min(_GAP_MOST, _GAP + steepest * 0.12)
    return spans


def _paths(scene: Scene, ground: Ground) -> list[Path]:
    made = ground.made
    busy = {arrow.tail for arrow in scene.arrows if arrow.kind != "error"}
    paths = {
        number: forward(ground, chain, _port(scene, ground, number, chain, busy))
        for number, chain in made.chains.items()
    }
    ceilings = [
        min(across - (ground.rects[node].height / 2 if node < made.boxes else 0.0) for across, node in tops)
        - (30.0 if any(box.function for box in scene.boxes) else 12.0)
        for tops in ([(ground.across[node], node) for node in nodes] for nodes in made.layers)
    ]
    back = {number: (scene.arrows[number].tail, scene.arrows[number].head) for number in made.back}
    paths |= backward(ground, back, ceilings)
    return [paths[number] for number in range(len(scene.arrows))]


def _port(scene: Scene, ground: Ground, number: int, chain: Sequence[int], busy: set[int]) -> float:
    """Return how far from the middle an arrow leaves: error arrows, beside others, on the side they lead to."""
    arrow = scene.arrows[number]
    if arrow.kind != "error" or arrow.tail not in busy:
        return 0.0
    room = min(ground.rects[arrow.tail].height * 0.3, 40.0)
    return room if ground.across[chain[1]] >= ground.across[arrow.tail] else -room


def _turn(rect: Rect) -> Rect:
    return Rect(rect.y, rect.x, rect.height, rect.width)


def _turn_path(path: Path) -> Path:
    def turned(point: Point) -> Point:
        return Point(point.y, point.x)

    return Path(turned(path.start), tuple(Curve(turned(c.first), turned(c.second), turned(c.end)) for c in path.curves))


def _moved(
    scene: Scene, shapes: Sequence[Shape], rects: Sequence[Rect], paths: Sequence[Path], frames: Sequence[Frame]
) -> Layout:
    """Return the layout moved so that everything lies within a margin of the upper left corner."""
    dots = [Rect(*point, 0.0, 0.0) for path in paths for point in path.points(4)]
    drawn = around([*rects, *dots, *(frame.rect for frame in frames)])
    legend = legend_of(scene, frames, drawn.x, drawn.bottom + MARGIN, drawn.width)
    notes = [
        Rect(s.rect.x, s.rect.y, s.rect.width + 6 + width(s.function, LEGEND_TEXT, bold=True), s.rect.height)
        for s in legend
    ]
    hull = around([drawn, *notes]).grown(MARGIN)

    def at(point: Point) -> Point:
        return Point(point.x - hull.x, point.y - hull.y)

    def moved(rect: Rect) -> Rect:
        return Rect(rect.x - hull.x, rect.y - hull.y, rect.width, rect.height)

    def along(path: Path) -> Path:
        return Path(at(path.start), tuple(Curve(at(c.first), at(c.second), at(c.end)) for c in path.curves))

    return Layout(
        hull.width,
        hull.height,
        tuple(Placed(box, shape, moved(rect)) for box, shape, rect in zip(scene.boxes, shapes, rects, strict=True)),
        tuple(Way(arrow, along(path)) for arrow, path in zip(scene.arrows, paths, strict=True)),
        tuple(Frame(frame.function, frame.number, moved(frame.rect)) for frame in frames),
        tuple(Frame(swatch.function, swatch.number, moved(swatch.rect)) for swatch in legend),
    )
