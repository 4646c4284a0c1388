"""Straight runs of nodes move closer to what they are linked with, where their neighbours leave room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from servegraph.graph.draw.layers import Layering
from servegraph.graph.draw.place import Distance

_ROUNDS: Final = 10
_NEAR: Final = 0.01


def settle(made: Layering, at: list[float], distance: Distance) -> None:
    """Shorten the links by moving whole straight runs, in place; order, distances and straight lines stay."""
    beside = _beside(made)
    for _ in range(_ROUNDS):
        moved = 0.0
        for run in _runs(made, at):
            shift = _within(_wish(made, at, run), *_room(at, run, beside, distance))
            for node in run:
                at[node] += shift
            moved = max(moved, abs(shift))
        if moved < _NEAR:
            return


def _beside(made: Layering) -> list[tuple[int, int]]:
    """Return for each node its neighbours within its layer, ``-1`` for none."""
    beside = [(-1, -1)] * len(made.rank)
    for layer in made.layers:
        padded = [-1, *layer, -1]
        for place, node in enumerate(layer):
            beside[node] = (padded[place], padded[place + 2])
    return beside


def _runs(made: Layering, at: Sequence[float]) -> Iterator[list[int]]:
    """Yield all nodes in sets that are linked by straight lines."""
    seen = [False] * len(at)
    for start in range(len(at)):
        if seen[start]:
            continue
        seen[start] = True
        run = [start]
        for node in run:
            for other in (*made.before[node], *made.after[node]):
                if not seen[other] and abs(at[other] - at[node]) < _NEAR:
                    seen[other] = True
                    run.append(other)
        yield run


def _wish(made: Layering, at: Sequence[float], run: Sequence[int]) -> float:
    """Return the move that makes a run's links shortest: the median of the moves that would straighten one each."""
    wishes: list[float] = []
    for node in run:
        for links in (made.before[node], made.after[node]):
            for other, weight in links.items():
                if (gap := at[other] - at[node]) and abs(gap) >= _NEAR:
                    wishes += [gap] * weight
    if not wishes:
        return 0.0
    wishes.sort()
    middle = len(wishes) - 1
    return (wishes[middle // 2] + wishes[middle - middle // 2]) / 2


def _room(
    at: Sequence[float], run: Sequence[int], beside: Sequence[tuple[int, int]], distance: Distance
) -> tuple[float, float]:
    """Return how far a run can move back (negative or zero) and on."""
    back, on = float("-inf"), float("inf")
    for node in run:
        one, two = beside[node]
        if one >= 0:
            back = max(back, at[one] + distance(one, node) - at[node])
        if two >= 0:
            on = min(on, at[two] - distance(node, two) - at[node])
    return min(back, 0.0), max(on, 0.0)


def _within(wish: float, back: float, on: float) -> float:
    return min(max(wish, back), on)
