"""From linked step objects to a graph: a list becomes a chain, a list inside it a branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from servegraph.events import Event
from servegraph.graph.builder import FlowGraph, new_graph
from servegraph.graph.handles import StepHandle
from servegraph.graph.naming import is_function
from servegraph.steps.functions import Map
from servegraph.steps.linking import Linked, Wrapped, following, recovery

MAX_ITERATIONS: Final = 10_000
"""How often one event may come to a step of a loop where the step does not say."""
# What a step object was told of how the engine calls it.
_OPTIONS: Final = ("full_event", "input_path", "result_path")


def build_flow(steps: Sequence[Any]) -> Any:
    """Link steps to a flow and return the first, a source, whose ``run()`` starts it.

    Each step follows the one before it; a list is a branch that follows the step before the list, and what comes after
    the list follows that same step. Functions and objects that have ``do(body)`` are steps, too. Raises ValueError for
    an empty list.
    """
    first: Linked | None = None
    last: Linked | None = None
    for step in steps:
        branch = isinstance(step, list | tuple)
        link = build_flow(step) if isinstance(step, list | tuple) else as_link(step)
        if last is not None:
            last.to(link)
        first = first or link
        last = last if branch and last is not None else link
    if first is None:
        raise ValueError("Cannot build an empty flow")
    return first


def as_link(step: Any) -> Linked:
    """Return something that can be linked and does what a step object or function does."""
    if isinstance(step, Linked):
        return step
    if isinstance(step, type):
        raise TypeError(f"{step.__name__} is a class; a flow needs an object of it: {step.__name__}(...)")
    return Map(step) if is_function(step) else Wrapped(step)


def define(source: Linked) -> FlowGraph:
    """Return the graph of all steps that follow a source, in which those that complete answer.

    Raises GraphError for what cannot be a step.
    """
    links = _Links(source)
    limit = MAX_ITERATIONS if links.backward else None
    graph = new_graph("flow", allow_cyclic=bool(links.backward), max_iterations=limit)
    assert isinstance(graph, FlowGraph)
    steps = {id(step): _added(graph, step) for step in links.steps}
    handlers: dict[int, StepHandle] = {}
    for before, after in links.arrows:
        steps[id(after)].after(steps[id(before)])
    for before, after in links.backward:
        steps[id(before)].cycle_to(steps[id(after)])
    for failing, rescuer in links.rescues:
        handler = handlers.get(id(rescuer))
        name = f"{steps[id(rescuer)].name}-errors" if handler is None else handler.name
        if handler is None:
            steps[id(failing)].error_handler(name, handler=_unchanged, full_event=True, run_in="loop")
            handlers[id(rescuer)] = graph[name]
            steps[id(rescuer)].after(name)
        else:
            steps[id(failing)].error_handler(name)
    _answer(graph, [steps[id(step)] for step in links.steps if step.COMPLETES])
    return graph


def _added(graph: FlowGraph, step: Linked) -> StepHandle:
    own = _own(step)
    if step.FIRST:
        return graph.add_step(handler=_unchanged_body, name="source", run_in="loop")
    options = {name: value for name in _OPTIONS if (value := getattr(own, name, None)) is not None}
    return graph.add_step(own, **options)


def _own(step: Linked) -> Any:
    return step.step if isinstance(step, Wrapped) else step


def _answer(graph: FlowGraph, completing: list[StepHandle]) -> None:
    """Let the step that completes answer; several of them answer by way of one that follows them all."""
    if len(completing) == 1:
        completing[0].respond()
    elif completing:
        graph.add_step(handler=_unchanged_body, name="results", after=completing, run_in="loop").respond()


def _unchanged(event: Event) -> Event:
    return event


def _unchanged_body(body: Any) -> Any:
    return body


class _Links:
    """What can be reached from a source: steps in the order in which they are met, and the arrows between them."""

    def __init__(self, source: Linked) -> None:
        self.steps: list[Linked] = []
        self.arrows: list[tuple[Linked, Linked]] = []
        self.backward: list[tuple[Linked, Linked]] = []
        self.rescues: list[tuple[Linked, Linked]] = []
        self._visit(source)
        onward = following(source)
        met = {id(step) for before, step in (*self.arrows, *self.rescues) if before is not source}
        if onward and not met & {id(step) for step in onward}:
            # A graph starts with the steps that nothing leads to: the source is needed only where that is not enough.
            self.steps.remove(source)
            self.arrows = [arrow for arrow in self.arrows if arrow[0] is not source]

    def _visit(self, source: Linked) -> None:
        seen, open_ways = {id(source)}, {id(source)}
        self.steps.append(source)
        waiting: list[tuple[Linked, Iterator[Linked]]] = [(source, self._onward(source))]
        while waiting:
            step, onward = waiting[-1]
            after = next(onward, None)
            if after is None:
                open_ways.remove(id(step))
                waiting.pop()
            elif id(after) in open_ways:
                self.backward.append((step, after))
            else:
                if after is recovery(step) and (step, after) not in self.rescues:
                    self.rescues.append((step, after))
                else:
                    self.arrows.append((step, after))
                if id(after) not in seen:
                    seen.add(id(after))
                    open_ways.add(id(after))
                    self.steps.append(after)
                    waiting.append((after, self._onward(after)))

    @staticmethod
    def _onward(step: Linked) -> Iterator[Linked]:
        yield from following(step)
        rescuer = recovery(step)
        if rescuer is not None:
            yield rescuer
