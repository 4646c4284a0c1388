"""Frames around the steps of one function, where they stand together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servegraph.graph.draw.geometry import Rect, around
from servegraph.graph.draw.scene import Scene
from servegraph.graph.draw.text import width

_PAD: Final = 12.0
_HEAD: Final = 25.0
_SWATCH: Final = 11.0
_ROW: Final = 20.0
LEGEND_TEXT: Final = 11.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame or, in a legend, a swatch of one function; ``number`` tells functions apart by colour."""

    function: str
    number: int
    rect: Rect


def functions_of(scene: Scene) -> list[str]:
    """Return the functions that steps name, in the order of definition."""
    return list(dict.fromkeys(box.function for box in scene.boxes if box.function))


def frames_of(scene: Scene, rects: Sequence[Rect]) -> list[Frame]:
    """Return a frame around each set of linked steps of a function, unless it would also touch anything else.

    Where steps of several functions are mixed, their colour alone has to tell, and a legend.
    """
    frames: list[Frame] = []
    for number, function in enumerate(functions_of(scene)):
        for members in _together(scene, function):
            rect = around(rects[member] for member in members).grown(_PAD, top=_HEAD)
            foreign = (other for box, other in enumerate(rects) if box not in members)
            taken = (frame.rect for frame in frames)
            if not any(rect.overlaps(other) for other in (*foreign, *taken)):
                frames.append(Frame(function, number, rect))
    return frames


def legend_of(scene: Scene, frames: Sequence[Frame], left: float, top: float, room: float) -> list[Frame]:
    """Return a swatch for each function that has steps outside its frames, in rows from a corner on."""
    swatches: list[Frame] = []
    x, y = left, top
    for number, function in enumerate(functions_of(scene)):
        if sum(frame.function == function for frame in frames) == len(_together(scene, function)):
            continue
        wide = _SWATCH + 6 + width(function, LEGEND_TEXT, bold=True)
        if x > left and x + wide > left + room:
            x, y = left, y + _ROW
        swatches.append(Frame(function, number, Rect(x, y, _SWATCH, _SWATCH)))
        x += wide + 18
    return swatches


def _together(scene: Scene, function: str) -> list[set[int]]:
    """Return the steps of a function as sets of which each hangs together by arrows."""
    left = [number for number, box in enumerate(scene.boxes) if box.function == function]
    near: dict[int, set[int]] = {number: set() for number in left}
    for arrow in scene.arrows:
        if arrow.tail in near and arrow.head in near:
            near[arrow.tail].add(arrow.head)
            near[arrow.head].add(arrow.tail)
    sets: list[set[int]] = []
    seen: set[int] = set()
    for number in left:
        if number in seen:
            continue
        found, todo = {number}, [number]
        while todo:
            new = near[todo.pop()] - found
            found |= new
            todo += new
        seen |= found
        sets.append(found)
    return sets
