"""In which order boxes stand in their layer, so that few arrows cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

from servegraph.graph.draw.layers import Layering

_ROUNDS = 12


def untangle(made: Layering) -> None:
    """Sort every layer so that few arrows cross; what crosses nothing keeps the order of definition."""
    made.layers = _by_walk(made)
    best, fewest = [list(layer) for layer in made.layers], _crossings(made)
    without_gain = 0
    for number in range(_ROUNDS):
        if not fewest or without_gain == 4:
            break
        _sweep(made, forward=number % 2 == 0)
        _swap_neighbours(made)
        found = _crossings(made)
        without_gain += 1
        if found < fewest:
            best, fewest, without_gain = [list(layer) for layer in made.layers], found, 0
    made.layers = best


def _by_walk(made: Layering) -> list[list[int]]:
    """Order each layer by when a walk in depth first meets its nodes; heavier links are walked first."""
    layers: list[list[int]] = [[] for _ in made.layers]
    seen = [False] * len(made.rank)
    for start in sorted(range(len(made.rank)), key=lambda node: made.rank[node]):
        way = [start]
        while way:
            node = way.pop()
            if seen[node]:
                continue
            seen[node] = True
            layers[made.rank[node]].append(node)
            # Stable: of equal links the first defined is walked first, so it is pushed last.
            way.extend(reversed(sorted(made.after[node], key=lambda head: -made.after[node][head])))
    return layers


def _places(layer: Sequence[int]) -> dict[int, int]:
    return {node: place for place, node in enumerate(layer)}


def _sweep(made: Layering, forward: bool) -> None:
    """Sort each layer by the mean place of its nodes' neighbours in the layer gone through before."""
    layers = made.layers if forward else made.layers[::-1]
    neighbours = made.before if forward else made.after
    for fixed, layer in pairwise(layers):
        place = _places(fixed)
        mean = {
            node: sum(place[other] for other in neighbours[node]) / len(neighbours[node])
            for node in layer
            if neighbours[node]
        }
        movable = iter(sorted(mean, key=mean.__getitem__))
        layer[:] = [next(movable) if node in mean else node for node in layer]


def _swap_neighbours(made: Layering) -> None:
    """Swap nodes that stand side by side as long as that takes crossings away."""
    places = [_places(layer) for layer in made.layers]
    for _ in range(_ROUNDS):
        gained = False
        for rank, layer in enumerate(made.layers):
            for left in range(len(layer) - 1):
                one, two = layer[left], layer[left + 1]
                if _gain(made, places, rank, one, two) > 0:
                    layer[left], layer[left + 1] = two, one
                    places[rank][one], places[rank][two] = left + 1, left
                    gained = True
        if not gained:
            return


def _gain(made: Layering, places: list[dict[int, int]], rank: int, one: int, two: int) -> int:
    gain = 0
    if rank:
        gain += _between(made.before[one], made.before[two], places[rank - 1])
    if rank + 1 < len(places):
        gain += _between(made.after[one], made.after[two], places[rank + 1])
    return gain


def _between(one: dict[int, int], two: dict[int, int], place: dict[int, int]) -> int:
    """Return how many crossings fewer there are when two nodes side by side change places."""
    if len(one) == len(two) == 1:  # two bends, most often
        ((left,), (right,)) = one, two
        return (place[right] < place[left]) - (place[right] > place[left])
    ours, theirs = sorted(place[node] for node in one), sorted(place[node] for node in two)
    gain, lower, upto = 0, 0, 0
    for at in ours:
        while lower < len(theirs) and theirs[lower] < at:
            lower += 1
        upto = max(upto, lower)
        while upto < len(theirs) and theirs[upto] <= at:
            upto += 1
        gain += lower - (len(theirs) - upto)
    return gain


def _crossings(made: Layering) -> int:
    total = 0
    for layer, following in pairwise(made.layers):
        place = _places(following)
        passed: list[int] = []
        for node in layer:
            heads = sorted(place[head] for head in made.after[node])
            total += sum(len(passed) - bisect_right(passed, head) for head in heads)
            for head in heads:
                insort(passed, head)
    return total
