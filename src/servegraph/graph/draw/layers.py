"""Every box gets a layer, so that arrows lead from one layer to a later one; arrows that cannot are back arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two numbered boxes; where arrows compete for a straight line, the heavier one gets it.

    ``joins`` lets it run together with others of its kind on their way to the same box.
    """

    tail: int
    head: int
    weight: int = 1
    joins: bool = False


@dataclass(slots=True)
class Layering:
    """Boxes and bends in layers, linked only between neighbouring layers.

    Numbers up to ``boxes`` are boxes, later ones are bends: where an arrow passes through a layer.
    ``chains`` holds for each forward edge all it passes, its ends included, and ``back`` the other edges.
    ``before`` and ``after`` map a node to its neighbours one layer back or on, with the weight of the link.
    """

    boxes: int
    layers: list[list[int]]
    rank: list[int]
    chains: dict[int, list[int]] = field(default_factory=dict)
    back: list[int] = field(default_factory=list)
    before: list[dict[int, int]] = field(default_factory=list)
    after: list[dict[int, int]] = field(default_factory=list)

    def link(self, chain: Sequence[int], weight: int) -> None:
        """Link the nodes of a chain, each with the next."""
        for tail, head in pairwise(chain):
            self.after[tail][head] = max(weight, self.after[tail].get(head, 0))
            self.before[head][tail] = max(weight, self.before[head].get(tail, 0))

    def bend(self, rank: int) -> int:
        """Add a bend to a layer and return its number."""
        number = len(self.rank)
        self.rank.append(rank)
        self.layers[rank].append(number)
        self.before.append({})
        self.after.append({})
        return number


def layer(count: int, edges: Sequence[Edge], declared_back: frozenset[int] = frozenset()) -> Layering:
    """Return boxes ``0 .. count - 1`` in layers, each as early as its arrows allow."""
    back = declared_back | _closing(count, edges, declared_back)
    forward = [number for number in range(len(edges)) if number not in back]
    rank = _ranks(count, [edges[number] for number in forward])
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for node, at in enumerate(rank):
        layers[at].append(node)
    made = Layering(count, layers, rank, back=sorted(back), before=[{} for _ in rank], after=[{} for _ in rank])
    shared: dict[tuple[int, int], int] = {}
    for number in forward:
        edge = edges[number]
        between = range(rank[edge.tail] + 1, rank[edge.head])
        if edge.joins:
            for at in between:
                if (edge.head, at) not in shared:
                    shared[edge.head, at] = made.bend(at)
            bends = [shared[edge.head, at] for at in between]
        else:
            bends = [made.bend(at) for at in between]
        made.chains[number] = [edge.tail, *bends, edge.head]
        made.link(made.chains[number], edge.weight)
    return made


def _closing(count: int, edges: Sequence[Edge], ignored: frozenset[int]) -> frozenset[int]:
    """Return the edges that close a cycle, as a walk in depth from the first box on finds them."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for number, edge in enumerate(edges):
        if number not in ignored:
            leaving[edge.tail].append(number)
    closing: set[int] = set()
    state = [0] * count  # 0 unseen, 1 on the way, 2 done
    for start in range(count):
        if state[start]:
            continue
        state[start] = 1
        way = [(start, iter(leaving[start]))]
        while way:
            node, rest = way[-1]
            number = next(rest, -1)
            if number < 0:
                state[node] = 2
                way.pop()
                continue
            head = edges[number].head
            if state[head] == 1:
                closing.add(number)
            elif state[head] == 0:
                state[head] = 1
                way.append((head, iter(leaving[head])))
    return frozenset(closing)


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return for each box the length of the longest way to it; where nothing leads to, right before what follows.

    The edges have no cycle.
    """
    leaving: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for edge in edges:
        leaving[edge.tail].append(edge.head)
        waiting[edge.head] += 1
    rank = [0] * count
    first = [node for node in range(count) if not waiting[node]]
    ready = list(first)
    for node in ready:
        for head in leaving[node]:
            rank[head] = max(rank[head], rank[node] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    for node in first:
        rank[node] = min((rank[head] for head in leaving[node]), default=1) - 1
    return rank
