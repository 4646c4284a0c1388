"""Random graphs as data, the steps they are made of, and what the rules of a graph say becomes of one event in them.

The reference knows nothing of the engine: it takes an event through the graph by plain recursion, straight from the
rules on answering, branches, joins and errors.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

import servegraph
from servegraph.events import DROP, Event, Many

Body = dict[str, Any]

LOG: list[tuple[int, str, Any]] = []
"""Every call of a step: the event's number, the step, the body (of a merge: the bodies) as it was before."""


@dataclass
class Handler:
    name: str
    before: str = ""
    fails: int = 0


@dataclass
class Step:
    name: str
    kind: str
    after: list[str]
    divisor: int = 2
    choices: list[list[str] | None] = field(default_factory=list)
    handler: Handler | None = None


@dataclass
class Graph:
    steps: dict[str, Step]
    responder: str = ""
    handler: Handler | None = None

    def children(self, name: str) -> list[str]:
        return [step.name for step in self.steps.values() if name in step.after]

    @property
    def merges(self) -> list[str]:
        return [step.name for step in self.steps.values() if step.kind == "merge"]


# The steps. All but those that fail change the body in place, so that branches which share one are found out.


def note(name: str, number: int, body: Any) -> None:
    LOG.append((number, name, copy.deepcopy(body)))


def marked(name: str, body: Body) -> Body:
    body["path"].append(name)
    body["seen"][name] = True
    return body


class _Named:
    def __init__(self, name: str, divisor: int = 1, choices: list[list[str] | None] | None = None) -> None:
        self.name = name
        self.divisor = divisor
        self.choices = choices or [None]


class Quick(_Named):
    def do(self, body: Body) -> Body:
        note(self.name, body["n"], body)
        return marked(self.name, body)


class Late(_Named):
    async def do(self, body: Body) -> Body:
        note(self.name, body["n"], body)
        await asyncio.sleep(0)
        return marked(self.name, body)


class Filters(_Named):
    def do(self, body: Body) -> Any:
        note(self.name, body["n"], body)
        return DROP if body["n"] % self.divisor == 0 else marked(self.name, body)


class Fails(_Named):
    def do_event(self, event: Event) -> Event:
        note(self.name, event.body["n"], event.body)
        if event.body["n"] % self.divisor == 0:
            event.body = "what the step made of it before it failed"
            raise ValueError(f"{self.name} failed")
        marked(self.name, event.body)
        return event


class Chooses(_Named):
    def do(self, body: Body) -> Body:
        note(self.name, body["n"], body)
        return marked(self.name, body)

    def select_outlets(self, body: Body) -> list[str] | None:
        return self.choices[body["n"] % len(self.choices)]


class Splits(_Named):
    def do_event(self, event: Event) -> Many:
        note(self.name, event.body["n"], event.body)
        body = marked(self.name, event.body)
        return Many(event.branch({**copy.deepcopy(body), "split": body["split"] + [part]}) for part in (0, 1))


class Merges(_Named):
    def join(self, event: Event, parts: list[Event]) -> Event:
        bodies = [part.body for part in parts]
        note(self.name, bodies[0]["n"], bodies)
        event.body = merged(self.name, bodies)
        return event


class Handles(_Named):
    def do_event(self, event: Event) -> Event:
        note(self.name, event.body["n"], event.body)
        if self.divisor and event.body["n"] % self.divisor == 0:
            raise ValueError(f"{self.name} failed")
        event.body["errors"].append([str(event.error), event.origin_state])
        marked(self.name, event.body)
        return event


def merged(name: str, bodies: list[Body]) -> Body:
    return {"n": bodies[0]["n"], "path": [name], "seen": {}, "errors": [], "split": [], "parts": bodies}


def fresh(number: int) -> Body:
    return {"n": number, "path": [], "seen": {}, "errors": [], "split": []}


CLASSES = {
    "quick": Quick, "late": Late, "filter": Filters, "fail": Fails, "choose": Chooses, "split": Splits, "merge": Merges,
}  # fmt: skip


def define(graph: Graph, engine: str) -> servegraph.ServingFunction:
    """Return a function with this graph, defined as users define it."""
    fn = servegraph.new_function("random")
    flow = fn.set_topology("flow", engine=engine)
    for step in graph.steps.values():
        more = {"choices": step.choices} if step.choices else {}
        flow.add_step(CLASSES[step.kind], step.name, after=step.after, divisor=step.divisor, **more)
    for step in graph.steps.values():
        if step.handler is not None:
            _guard(flow[step.name], step.handler)
    if graph.handler is not None:
        _guard(flow, graph.handler)
    if graph.responder:
        flow[graph.responder].respond()
    return fn


def _guard(guarded: Any, handler: Handler) -> None:
    more = {"before": handler.before} if handler.before else {}
    guarded.error_handler(name=handler.name, class_name=Handles, divisor=handler.fails, **more)


# The reference.


class Reference:
    """What becomes of one event: ``replies`` and ``failures`` that could be its answer, how each way ended, all calls."""

    def __init__(self, graph: Graph, number: int, answers: str) -> None:
        """Take the event through the graph; ``answers`` is ``responder``, ``last`` or ``receipt``."""
        self.graph = graph
        self.answers = answers
        self.replies: list[Body] = []
        self.failures: list[tuple[str, str]] = []
        self.ends: list[Any] = []
        self.calls: list[tuple[str, Any]] = []
        self._waiting: dict[str, list[tuple[int, Body, bool]]] = {}
        self._failed: set[str] = set()
        for step in graph.steps.values():
            if not step.after:
                self._go(step.name, fresh(number), self._may(step.name), "")
        while ready := [name for name in graph.merges if self._waiting.get(name)]:
            self._join(ready[0])

    def _go(self, name: str, body: Body, hope: bool, came: str) -> None:
        step = self.graph.steps[name]
        if step.kind == "merge":
            self._waiting.setdefault(name, []).append((place_of(step, body, came), body, hope))
            return
        self.calls.append((name, copy.deepcopy(body)))
        hit = body["n"] % step.divisor == 0
        if step.kind == "filter" and hit:
            self.ends.append(None)
        elif step.kind == "fail" and hit:
            self._fail(name, body, hope)
        elif step.kind == "split":
            body = marked(name, copy.deepcopy(body))
            self._leave(name, [{**copy.deepcopy(body), "split": [*body["split"], part]} for part in (0, 1)], hope)
        else:
            self._leave(name, [marked(name, copy.deepcopy(body))], hope)

    def _join(self, name: str) -> None:
        parts = sorted(self._waiting.pop(name), key=lambda part: part[0])
        if name not in self._failed:
            bodies = [body for _, body, _ in parts]
            self.calls.append((name, copy.deepcopy(bodies)))
            self._leave(name, [merged(name, copy.deepcopy(bodies))], any(hope for _, _, hope in parts))

    def _leave(self, name: str, bodies: list[Body], hope: bool) -> None:
        if name == self.graph.responder and hope:
            self.replies.append(copy.deepcopy(bodies[0]))
            hope = False
        step, ways = self.graph.steps[name], self.graph.children(name)
        if not ways:
            self.ends.append(bodies[-1])
            return
        if step.kind == "choose":
            chosen = step.choices[bodies[0]["n"] % len(step.choices)]
            ways = ways if chosen is None else chosen
        if not ways:
            self.ends.append(None)
        for body in bodies:
            for way in ways:
                self._go(way, copy.deepcopy(body), hope and self._may(way), name)

    def _fail(self, name: str, body: Body, hope: bool) -> None:
        handler = self.handler_of(name)
        if handler is None:
            self._fail_for_good(name, hope)
            return
        self.calls.append((handler.name, copy.deepcopy(body)))
        if handler.fails and body["n"] % handler.fails == 0:
            self._fail_for_good(handler.name, hope)
            return
        body = copy.deepcopy(body)
        body["errors"].append([f"{name} failed", name])
        marked(handler.name, body)
        if handler.before:
            self._go(handler.before, body, hope and self._may(handler.before), handler.name)
            return
        if hope:
            self.replies.append(body)
        self.ends.append(body)

    def _fail_for_good(self, name: str, hope: bool) -> None:
        self._failed |= {each for each in self.reach(name) if each in self.graph.merges}
        if hope:
            self.failures.append((name, f"{name} failed"))
        self.ends.append((name, f"{name} failed"))

    def _may(self, name: str) -> bool:
        """Whether a way that goes on to a step may still answer."""
        return self.answers == "last" or (self.answers == "responder" and self.graph.responder in self.reach(name))

    def handler_of(self, name: str) -> Handler | None:
        step = self.graph.steps.get(name)
        if step is None:  # a handler itself
            return None
        return step.handler or self.graph.handler

    def reach(self, name: str) -> set[str]:
        """The step and all that an event may come to from it, over handlers, too."""
        found: set[str] = set()
        todo = [name]
        handlers = {each.name: each for each in handlers_of(self.graph)}
        while todo:
            here = todo.pop()
            if here in found:
                continue
            found.add(here)
            if here in handlers:
                todo += [handlers[here].before] if handlers[here].before else []
                continue
            todo += self.graph.children(here)
            own = self.graph.steps[here].handler
            todo += [own.name] if own else []
        return found


def handlers_of(graph: Graph) -> Iterator[Handler]:
    yield from (step.handler for step in graph.steps.values() if step.handler is not None)
    if graph.handler is not None:
        yield graph.handler


def place_of(step: Step, body: Body, came: str) -> int:
    """Where a part stands in a merge: with its step in the order of ``after``; what a handler saved, with its step."""
    if came not in step.after and body["errors"]:
        came = body["errors"][-1][1]
    return step.after.index(came) if came in step.after else len(step.after)


def canonical(graph: Graph, value: Any, merge: str = "") -> str:
    """Return a value as text that does not tell parts apart which came to one place of a merge in either order."""
    return json.dumps(_canonical(graph, value, merge), sort_keys=True)


def _canonical(graph: Graph, value: Any, merge: str) -> Any:
    if isinstance(value, list):
        step = graph.steps[merge]
        parts = [(place_of(step, part, part["path"][-1]), canonical(graph, part)) for part in value]
        for start, (place, _) in enumerate(parts):
            if start == 0 or parts[start - 1][0] != place:
                end = start
                while end < len(parts) and parts[end][0] == place:
                    end += 1
                parts[start:end] = sorted(parts[start:end])
        return parts
    if "parts" not in value:
        return value
    return {
        **value,
        "parts": _canonical(graph, value["parts"], next(each for each in value["path"] if each in graph.merges)),
    }


# The strategy.


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"s{number}" for number in range(draw(st.integers(2, 8)))]
    steps: dict[str, Step] = {}
    for place, name in enumerate(names):
        count = min(place, draw(st.sampled_from([1, 2, 1, 2, 1, 3, 0])))
        after = (
            draw(st.lists(st.sampled_from(names[:place]), min_size=count, max_size=count, unique=True)) if count else []
        )
        kinds = ["quick", "quick", "late", "filter", "fail", "choose", "split"]
        kind = draw(st.sampled_from(["merge"] * 4 + kinds if len(after) > 1 else kinds))
        steps[name] = Step(name, kind, after, draw(st.integers(1, 4)))
    graph = Graph(steps)
    for place, name in enumerate(names):
        _complete(draw, graph, steps[name], names[place + 1 :])
    if draw(st.integers(0, 3)) == 0:
        graph.handler = Handler("h")
    graph.responder = draw(st.sampled_from([names[-1], "", *names]))
    return graph


def _complete(draw: st.DrawFn, graph: Graph, step: Step, later: list[str]) -> None:
    children = graph.children(step.name)
    if step.kind == "choose":
        ways = st.lists(st.sampled_from(children), unique=True) if children else st.nothing()
        step.choices = draw(st.lists(st.none() | ways, min_size=1, max_size=3)) if children else [None]
    if step.kind == "fail" and draw(st.booleans()):
        places = ["", *(each for each in later if graph.steps[each].after)]
        before = draw(st.sampled_from(places))
        step.handler = Handler(f"h_{step.name}", before, draw(st.sampled_from([0, 0, 0, 3])))


def shares(graph: Graph) -> Counter[str]:
    """What a graph has in it, to count."""
    steps = graph.steps.values()
    return Counter(
        {
            "graphs": 1,
            "branches": any(len(graph.children(each.name)) > 1 for each in steps) or sum(not each.after for each in steps) > 1,
            "two parents": any(len(each.after) > 1 and each.kind != "merge" for each in steps),
            "merges": bool(graph.merges),
            "merges after merges": len(graph.merges) > 1,
            "failures": any(each.kind == "fail" for each in steps),
            "handlers": any(True for _ in handlers_of(graph)),
            "handlers with before": any(each.before for each in handlers_of(graph)),
            "filters": any(each.kind == "filter" for each in steps),
            "choices": any(each.kind == "choose" for each in steps),
            "one to many": any(each.kind == "split" for each in steps),
            "responder in the middle": bool(graph.responder and graph.children(graph.responder)),
            "no responder": not graph.responder,
        }
    )  # fmt: skip
