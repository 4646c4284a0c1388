"""What a picture shows of a graph: boxes and arrows, without any position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from servegraph.graph.draw.text import clean
from servegraph.graph.spec import (
    AnyStep,
    ErrorStepSpec,
    FlowSpec,
    GraphSpec,
    QueueSpec,
    RouterSpec,
    StepSpec,
    TaskSpec,
    as_flow,
)

BoxKind: TypeAlias = Literal["event", "failure", "task", "router", "queue", "handler", "answer"]
ArrowKind: TypeAlias = Literal["flow", "answer", "error", "recovery", "back"]

_REMOTE: Final = ("$remote", "RemoteStep")
_ROUTES_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Box:
    """One thing to draw: a step, a route inside a router, or a mark (the event, any failure, the answer)."""

    kind: BoxKind
    title: str
    detail: str = ""
    tooltip: str = ""
    function: str = ""
    responder: bool = False
    routes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between two boxes, by their place in ``Scene.boxes``.

    ``error`` leads to an error handler, ``recovery`` from one back into the flow, ``back`` closes a cycle.
    """

    tail: int
    head: int
    kind: ArrowKind
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a picture shows; marks stand among the boxes like steps."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    def describe(self) -> str:
        """Return the picture in words, for those who cannot see it."""
        steps = [box for box in self.boxes if box.kind not in ("event", "failure", "answer")]
        parts = [f"{len(steps)} step{'' if len(steps) == 1 else 's'}"]
        parts += [f"router {box.title} with {', '.join(_names(box.routes))}" for box in steps if box.routes]
        parts += [arrow.tooltip for arrow in self.arrows]
        return "; ".join(parts) + "."


def scene_of(spec: GraphSpec) -> Scene:
    """Return what to draw of a graph; names that lead nowhere are left out, ``rules.check`` is who reports them."""
    return _Draft(as_flow(spec)).scene()


class _Draft:
    """A scene in the making: marks and steps get numbers, names become arrows between numbers."""

    def __init__(self, flow: FlowSpec) -> None:
        self.flow = flow
        self.boxes = [Box("event", "event", tooltip="an event comes in")]
        self.number: dict[str, int] = {}
        self.arrows: dict[tuple[int, int, ArrowKind], Arrow] = {}
        for name, step in flow.steps.items():
            self.number[name] = len(self.boxes)
            self.boxes.append(_box(name, step))

    def scene(self) -> Scene:
        handlers = {handler for step in self.flow.steps.values() for handler in _handlers(step)}
        handlers.add(self.flow.on_error)
        for name, step in self.flow.steps.items():
            self._arrive(name, step, name in handlers)
        for name, step in self.flow.steps.items():
            for handler in _handlers(step):
                self._link(self.number[name], handler, "error")
            if isinstance(step, ErrorStepSpec):
                for target in step.before:
                    self._link(self.number[name], target, "recovery")
        self._answer()
        self._any_failure()
        return Scene(tuple(self.boxes), tuple(self.arrows.values()))

    def _arrive(self, name: str, step: StepSpec, is_handler: bool) -> None:
        came_from = [parent for parent in step.after if parent not in step.cycle_from]
        for parent in came_from:
            if parent in self.number:
                self._link(self.number[parent], name, "flow")
        for parent in step.cycle_from:
            if parent in self.number:
                self._link(self.number[parent], name, "back")
        if not came_from and not is_handler and not isinstance(step, ErrorStepSpec):
            self._link(0, name, "flow")

    def _answer(self) -> None:
        responders = [name for name, step in self.flow.steps.items() if isinstance(step, TaskSpec) and step.responder]
        if not responders and self.flow.engine == "sync":
            responders = self._last_step()
        if responders:
            self.number["\0answer"] = len(self.boxes)
            self.boxes.append(Box("answer", "answer", tooltip="the answer goes out"))
        for name in responders:
            self._link(self.number[name], "\0answer", "answer")

    def _last_step(self) -> list[str]:
        """Return the step whose result a sync graph answers with, where that is plain to see: its only end."""
        leads_on = {arrow.tail for arrow in self.arrows.values() if arrow.kind == "flow"}
        ends = [
            name
            for name, number in self.number.items()
            if number not in leads_on and self.boxes[number].kind != "handler"
        ]
        return ends if len(ends) == 1 else []

    def _any_failure(self) -> None:
        if self.flow.on_error in self.number:
            self.boxes.append(Box("failure", "any other failure", tooltip="a step without an error handler fails"))
            self._link(len(self.boxes) - 1, self.flow.on_error, "error")

    def _link(self, tail: int, head_name: str, kind: ArrowKind) -> None:
        head = self.number.get(head_name)
        if head is not None:
            words = _words(kind, self.boxes[tail], self.boxes[head])
            self.arrows.setdefault((tail, head, kind), Arrow(tail, head, kind, words))


def _words(kind: ArrowKind, tail: Box, head: Box) -> str:
    if kind == "error" and tail.kind != "failure":
        return f"if {tail.title} fails: {head.title}"
    if kind == "back":
        return f"{tail.title} back to {head.title}"
    return f"{tail.title} to {head.title}"


def _handlers(step: StepSpec) -> Iterator[str]:
    if step.on_error:
        yield step.on_error
    if isinstance(step, RouterSpec):
        for route in step.routes.values():
            yield from _handlers(route)


def _box(name: str, step: AnyStep) -> Box:
    title = clean(name)
    if isinstance(step, QueueSpec):
        path = clean(_address(step.path)) or "in memory"
        return Box("queue", title, path, _tooltip("queue", title, path, step), clean(step.function))
    detail = clean(_what_runs(step))
    function = clean(step.function)
    if isinstance(step, RouterSpec):
        tooltip = _tooltip("router", title, detail, step)
        return Box("router", title, detail, tooltip, function, step.responder, _routes(step))
    if isinstance(step, ErrorStepSpec):
        tooltip = _tooltip("error handler", title, detail, step)
        return Box("handler", title, detail, tooltip, function, step.responder)
    return Box("task", title, detail, _tooltip("step", title, detail, step), function, step.responder)


def _routes(router: RouterSpec) -> tuple[Box, ...]:
    boxes = []
    for name, route in router.routes.items():
        title, detail = clean(name), clean(_what_runs(route))
        boxes.append(Box("task", title, detail, _tooltip("route", title, detail, route)))
    if len(boxes) <= _ROUTES_SHOWN:
        return tuple(boxes)
    hidden = boxes[_ROUTES_SHOWN - 1 :]
    rest = Box("task", f"{len(hidden)} more", tooltip="also: " + ", ".join(_names(hidden[:200])))
    return (*boxes[: _ROUTES_SHOWN - 1], rest)


def _names(boxes: Iterable[Box]) -> list[str]:
    return [box.title for box in boxes]


def _what_runs(step: TaskSpec) -> str:
    """Return a step's class, method, function, expression or address in a few words."""
    class_name = step.class_name.rpartition(".")[2] if step.class_name.endswith(_REMOTE) else step.class_name
    if class_name in _REMOTE:
        method = step.class_args.get("method") or ""
        return f"{str(method).upper()} {_address(str(step.class_args.get('url', '')))}".strip()
    if class_name and step.handler:
        return f"{class_name}.{step.handler}"
    return class_name or step.handler


def _tooltip(kind: str, title: str, detail: str, step: StepSpec) -> str:
    lines = [f"{kind} {title}", detail]
    if isinstance(step, TaskSpec) and isinstance(model := step.class_args.get("model_path"), str):
        lines.append(f"model: {clean(_address(model))}")
    if step.function:
        lines.append(f"runs in function {clean(step.function)}")
    lines.append(clean(step.comment))
    return "\n".join(filter(None, lines))


def _address(url: str) -> str:
    """Return a URL without what may be secret: the user's part and the query."""
    if "://" not in url:
        return url
    return re.sub(r"(?<=//)[^/\s]*@", "", url).split("?")[0]
