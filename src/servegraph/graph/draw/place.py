"""Where boxes stand across the layers: the method of Brandes and Köpf (2002), for boxes of different sizes.

Nodes are aligned into straight blocks in four ways (towards the layer before or after, from either side), each is
packed tightly, and a node's place is the mean of its two middle places. Every packing keeps the wanted distances, so
the mean does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import TypeAlias

from servegraph.graph.draw.layers import Layering

Distance: TypeAlias = Callable[[int, int], float]
"""The least distance between the centres of two nodes, the first standing before the second in their layer."""

_Layers: TypeAlias = list[list[int]]
_Links: TypeAlias = Sequence[dict[int, int]]


def place(made: Layering, distance: Distance) -> list[float]:
    """Return the centre of each node across the layers; neighbours keep at least their distance."""
    before, after = _strongest(made.before, made.after), _strongest(made.after, made.before)
    blocked = _blocked(made, before)
    packings = []
    for backwards, mirrored in product((False, True), repeat=2):
        layers = [layer[::-1] if mirrored else list(layer) for layer in made.layers]
        roots = _align(layers[::-1] if backwards else layers, after if backwards else before, blocked)
        packing = _pack(layers, roots, (lambda a, b: distance(b, a)) if mirrored else distance)
        packings.append([-at for at in packing] if mirrored else packing)
    return _middle(packings)


def _strongest(links: _Links, opposite: _Links) -> list[dict[int, int]]:
    """Return the links to align along: those that are the heaviest for both of their nodes."""
    kept: list[dict[int, int]] = []
    for node, others in enumerate(links):
        heaviest = max(others.values(), default=0)
        kept.append(
            {
                other: weight
                for other, weight in others.items()
                if weight == heaviest == max(opposite[other].values()) and node in opposite[other]
            }
        )
    return kept


def _blocked(made: Layering, before: _Links) -> set[tuple[int, int]]:
    """Return the links that cross a link between two bends: a long arrow stays straight, the others give way."""
    blocked: set[tuple[int, int]] = set()
    for upper, lower in pairwise(made.layers):
        place = {node: at for at, node in enumerate(upper)}
        inner = [
            (place[other], at)
            for at, node in enumerate(lower)
            if node >= made.boxes
            for other in before[node]
            if other >= made.boxes
        ]
        if not inner:
            continue
        for at, node in enumerate(lower):
            for other in before[node]:
                if node >= made.boxes and other >= made.boxes:
                    continue
                if any((place[other] - up) * (at - low) < 0 for up, low in inner):
                    blocked |= {(other, node), (node, other)}
    return blocked


def _align(layers: _Layers, links: _Links, blocked: set[tuple[int, int]]) -> list[int]:
    """Return for each node the first node of its block; a block has one node in each of some following layers."""
    roots = list(range(len(links)))
    for fixed, layer in pairwise(layers):
        place = {node: at for at, node in enumerate(fixed)}
        taken = -1
        for node in layer:
            others = sorted(links[node], key=place.__getitem__)
            middle = len(others) - 1
            for other in others[middle // 2 : middle // 2 + 1 + middle % 2]:
                if place[other] > taken and (other, node) not in blocked:
                    roots[node] = roots[other]
                    taken = place[other]
                    break
    return roots


def _pack(layers: _Layers, roots: Sequence[int], distance: Distance) -> list[float]:
    """Return places that keep every distance: blocks as far forward as they go, then back where there is room."""
    following: dict[int, dict[int, float]] = {root: {} for root in roots}
    waiting = dict.fromkeys(following, 0)
    for layer in layers:
        for one, two in pairwise(layer):
            heads = following[roots[one]]
            if roots[two] not in heads:
                waiting[roots[two]] += 1
            heads[roots[two]] = max(heads.get(roots[two], 0.0), distance(one, two))
    order = [root for root in following if not waiting[root]]
    at = dict.fromkeys(following, 0.0)
    for root in order:
        for head, least in following[root].items():
            at[head] = max(at[head], at[root] + least)
            waiting[head] -= 1
            if not waiting[head]:
                order.append(head)
    for root in reversed(order):
        if following[root]:
            at[root] = max(at[root], min(at[head] - least for head, least in following[root].items()))
    return [at[root] for root in roots]


def _middle(packings: list[list[float]]) -> list[float]:
    """Return the mean of each node's two middle places, after moving all packings onto the narrowest."""
    narrowest = min(packings, key=lambda packing: max(packing, default=0.0) - min(packing, default=0.0))
    moved = []
    for number, packing in enumerate(packings):
        side = max if number % 2 else min  # mirrored packings are flush with the far side
        shift = side(narrowest, default=0.0) - side(packing, default=0.0)
        moved.append([at + shift for at in packing])
    return [sum(sorted(places)[1:3]) / 2 for places in zip(*moved, strict=True)]
