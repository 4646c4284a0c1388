"""What makes a graph well formed, and what its arrows say: pure functions over a spec."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from servegraph.errors import Fault, nearest
from servegraph.graph.naming import illegal
from servegraph.graph.spec import (
    ErrorStepSpec,
    FlowSpec,
    GraphSpec,
    QueueSpec,
    RouterSpec,
    StepSpec,
    TaskSpec,
    as_flow,
    bad_choice,
    tasks,
)

_CHOSEN: Final = {"engine": "async", "run_in": "auto"}
# Steps that make one event of the several parts that reach them.
_JOINS: Final = ("Merge", "Collector")
# Functions of steps that run where the graph is entered.
_HERE: Final = ("", "*")


def parents(step: StepSpec) -> tuple[str, ...]:
    """Return the steps whose events a step gets, each once, without those that only lead back to it."""
    return tuple(dict.fromkeys(name for name in step.after if name not in step.cycle_from))


def starts(flow: FlowSpec) -> list[str]:
    """Return the steps that get an event first, in order of definition."""
    return [name for name, step in flow.steps.items() if not parents(step) and not isinstance(step, ErrorStepSpec)]


def children(flow: FlowSpec) -> dict[str, list[str]]:
    """Return for every step those that get its events, in order of definition, loops included.

    What an error handler goes on with (``before``) are its children; the way from a step to its error handler is none.
    """
    after: dict[str, list[str]] = {name: [] for name in flow.steps}
    for name, sources in _sources(flow, loops=True).items():
        for source in sources:
            if source in after:
                after[source].append(name)
    return after


def reachable(flow: FlowSpec, entries: Iterable[str] | None = None) -> set[str]:
    """Return the steps that events (or, for error handlers, failures) can get to, from the start steps unless given."""
    onward = children(flow)
    waiting = list(starts(flow) if entries is None else entries)
    if flow.on_error:
        waiting.append(flow.on_error)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in onward:
            continue
        seen.add(name)
        waiting += [*onward[name], flow.steps[name].on_error]
    return seen


def loops(flow: FlowSpec) -> list[list[str]]:
    """Return the loops that no ``cycle_from`` declares, each as its steps in order with the first one again at the end.

    The way to an error handler and on from it counts: a handler that leads back to the step it guards is a loop.
    """
    sources = {name: dict.fromkeys(before) for name, before in _sources(flow, loops=False).items()}
    for name, step in flow.steps.items():
        if step.on_error in sources and step.on_error != name:
            sources[step.on_error][name] = None
    order = {name: place for place, name in enumerate(flow.steps)}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(sources).prepare()
        except graphlib.CycleError as error:
            loop = error.args[1][:-1]
            del sources[loop[1 % len(loop)]][loop[0]]
            first = loop.index(min(loop, key=order.__getitem__))
            found.append([*loop[first:], *loop[:first], loop[first]])
        else:
            return found


def check(spec: GraphSpec, *, deployed: bool = False) -> list[Fault]:
    """Return everything that is wrong with the structure of a graph, each fault naming its step.

    ``deployed`` adds what is wrong only where the functions of a graph run apart from each other.
    """
    flow = as_flow(spec)
    if not flow.steps:
        return [Fault("", "empty", "the graph has no steps; add some with to() or add_step()")]
    rules = (*_RULES, _check_remote_responder) if deployed else _RULES
    faults = [fault for rule in rules for fault in rule(flow)]
    if isinstance(spec, RouterSpec) and spec.error_step is not None and not spec.on_error:
        faults.append(Fault("", "handler-unnamed", "error_step has no name; give it one in on_error"))
    return faults


def warn(spec: GraphSpec) -> list[Fault]:
    """Return what is allowed in a graph but seldom meant."""
    flow = as_flow(spec)
    return [*_idle_handlers(flow), *_twice_answered(flow)]


def _sources(flow: FlowSpec, loops: bool) -> dict[str, list[str]]:
    """Return for every step the known steps whose events it gets; ``loops`` tells whether those leading back count."""
    sources = {name: list(parents(step)) + list(step.cycle_from) * loops for name, step in flow.steps.items()}
    for name, step in flow.steps.items():
        if isinstance(step, ErrorStepSpec):
            for target in step.before:
                if target in sources and (loops or name not in flow.steps[target].cycle_from):
                    sources[target].append(name)
    return {name: [each for each in dict.fromkeys(before) if each in flow.steps] for name, before in sources.items()}


def _check_names(flow: FlowSpec) -> Iterator[Fault]:
    for name, step in flow.steps.items():
        if reason := illegal(name):
            yield Fault(name, "name", reason)
        if isinstance(step, RouterSpec):
            yield from (Fault(f"{name}/{key}", "name", why) for key in step.routes if (why := illegal(key)))


def _check_references(flow: FlowSpec) -> Iterator[Fault]:
    for name, step in flow.steps.items():
        named = {"after": step.after, "on_error": (step.on_error,), "cycle_from": step.cycle_from}
        if isinstance(step, ErrorStepSpec):
            named["before"] = step.before
        for field, others in named.items():
            yield from (
                unknown_step(flow.steps, name, field, other) for other in others if other and other not in flow.steps
            )
    for field, other in (("on_error", flow.on_error), ("final_step", flow.final_step)):
        if other and other not in flow.steps:
            yield unknown_step(flow.steps, "", field, other)


def unknown_step(steps: Iterable[str], step: str, field: str, other: str) -> Fault:
    """Return the fault that a step's field names another one that is not there."""
    known = [name for name in steps if name != step]
    code = f"unknown-{field.replace('_', '-')}"
    return Fault(step, code, f"{field} names '{other}', but there is no such step{nearest(other, known)}")


def _check_handlers(flow: FlowSpec) -> Iterator[Fault]:
    for name, step in [*flow.steps.items(), ("", flow)]:
        if not step.on_error:
            continue
        handler = flow.steps.get(step.on_error)
        if step.on_error == name:
            yield Fault(name, "handler-of-itself", "an error handler cannot guard itself; give it one of its own")
        elif handler is not None and not isinstance(handler, ErrorStepSpec):
            told = f"on_error names '{step.on_error}', which is no error handler; add one with error_handler()"
            yield Fault(name, "no-handler", told)
    root = flow.steps.get(flow.on_error)
    if isinstance(root, ErrorStepSpec) and root.before:
        told = "the error handler of a whole graph cannot name 'before': nobody knows where the event came from"
        yield Fault(flow.on_error, "handler-before", told)


def _check_work(flow: FlowSpec) -> Iterator[Fault]:
    for path, step in tasks(flow):
        if isinstance(step, RouterSpec):
            if not step.routes and not step.allow_empty:
                told = "a router needs routes; add them with add_route() or add_model(), or declare allow_empty=True"
                yield Fault(path, "no-routes", told)
            if step.error_step is not None:
                told = "error_step is for a router that is a whole graph; in a flow, name a step in on_error"
                yield Fault(path, "nested-handler", told)
        elif not step.class_name and not step.handler:
            yield Fault(path, "nothing-to-run", "give it a class_name or a handler")


def _check_routes(flow: FlowSpec) -> Iterator[Fault]:
    plain = TaskSpec()
    for name, router in flow.steps.items():
        if not isinstance(router, RouterSpec):
            continue
        for route, step in router.routes.items():
            path = f"{name}/{route}"
            if type(step) is not TaskSpec:
                told = "a route is a plain step, not a router or an error handler"
                yield Fault(path, "route", told)
            for field in ("after", "on_error", "cycle_from", "responder"):
                if getattr(step, field) != getattr(plain, field):
                    yield Fault(path, "route", f"a route has no '{field}'; set it on the router")


# Fields that hold numbers, with the least that each may be, and whether it may be just that.
_LIMITS: Final = (
    ("timeout", 0, False),
    ("retries", 0, True),
    ("backoff_factor", 0, True),
    ("max_in_flight", 1, True),
    ("max_iterations", 1, True),
    ("shards", 1, True),
    ("retention_in_hours", 1, True),
)


def _check_values(flow: FlowSpec) -> Iterator[Fault]:
    queues = [(name, step) for name, step in flow.steps.items() if isinstance(step, QueueSpec)]
    for path, step in [("", flow), *tasks(flow), *queues]:
        for field, least, allowed in _LIMITS:
            value = getattr(step, field, None)
            if value is None or value > least or (allowed and value == least):
                continue
            told = f"at least {least}" if allowed else f"more than {least}"
            yield Fault(path, "number", f"{field} is {value}, it must be {told}")
        for field in ("engine", "run_in"):
            if told := bad_choice(field, getattr(step, field, _CHOSEN[field])):
                yield Fault(path, field.replace("_", "-"), told)


def _check_loops(flow: FlowSpec) -> Iterator[Fault]:
    for loop in loops(flow):
        told = f"undeclared loop: {' -> '.join(loop)}; to go round on purpose, set allow_cyclic and use cycle_to"
        yield Fault(loop[0], "loop", told)
    cyclic = [name for name, step in flow.steps.items() if step.cycle_from]
    if flow.engine == "sync" and (cyclic or flow.allow_cyclic):
        yield Fault(cyclic[0] if cyclic else "", "cycle-in-sync", "the sync engine runs no cycles; use engine='async'")
    elif not flow.allow_cyclic:
        told = "cycles are not allowed in this graph; allow them with set_topology('flow', allow_cyclic=True)"
        yield from (Fault(name, "cycle", told) for name in cyclic)


def _check_responders(flow: FlowSpec) -> Iterator[Fault]:
    names = _responders(flow)
    if len(names) > 1:
        told = f"only one step can respond, but {len(names)} do: {', '.join(names)}"
        yield Fault(names[1], "responders", told)


def _check_reach(flow: FlowSpec) -> Iterator[Fault]:
    looping = {name for loop in loops(flow) for name in loop}
    # What follows an unknown step is out of reach for a reason that is told already.
    lost = [name for name, step in flow.steps.items() if any(each not in flow.steps for each in parents(step))]
    reached = reachable(flow, [*starts(flow), *lost])
    for name, step in flow.steps.items():
        if name in reached or name in looping or isinstance(step, ErrorStepSpec):
            continue
        after = f"it comes after {', '.join(parents(step))}, which no event reaches either"
        if isinstance(step, TaskSpec) and step.responder:
            yield Fault(name, "responder-unreachable", f"no event reaches the step that responds: {after}")
        else:
            yield Fault(name, "unreachable", f"no event reaches it: {after}")


def _check_functions(flow: FlowSpec) -> Iterator[Fault]:
    """Find steps of another function that an event would have to enter without a queue."""
    sources = _sources(flow, loops=True)
    for name, step in flow.steps.items():
        if step.on_error in sources:
            sources[step.on_error].append(name)
    entries = set(starts(flow))
    for name, step in flow.steps.items():
        if isinstance(step, QueueSpec) or step.function == "*":
            continue
        where = f"function '{step.function}'" if step.function else "the graph's own function"
        if step.function and name in entries:
            yield Fault(name, "no-queue", f"it runs in {where}, but no queue leads there; put one before it")
        for source in dict.fromkeys(sources[name]):
            before = flow.steps[source]
            if not isinstance(before, QueueSpec) and before.function not in ("*", step.function):
                told = f"it runs in {where}, the step '{source}' before it does not; put a queue between them"
                yield Fault(name, "no-queue", told)


def _check_remote_responder(flow: FlowSpec) -> Iterator[Fault]:
    """Find a responder that events only get to by way of another function: its caller is not waiting there."""
    here = {name: step for name, step in flow.steps.items() if step.function in _HERE}
    home = reachable(msgspec.structs.replace(flow, steps=here), starts(flow))
    for name in _responders(flow):
        if name not in home and name in reachable(flow):
            told = "it responds behind a queue, on the far side of another function, where no caller waits"
            yield Fault(name, "remote-responder", told)


def _responders(flow: FlowSpec) -> list[str]:
    return [
        name
        for name, step in flow.steps.items()
        if isinstance(step, TaskSpec) and step.responder and not isinstance(step, ErrorStepSpec)
    ]


def _idle_handlers(flow: FlowSpec) -> Iterator[Fault]:
    used = {flow.on_error, *(step.on_error for step in flow.steps.values())}
    for name, step in flow.steps.items():
        if isinstance(step, ErrorStepSpec) and name not in used:
            yield Fault(name, "handler-unused", "no step names this error handler in on_error")


def _twice_answered(flow: FlowSpec) -> Iterator[Fault]:
    sources = {name: [each for each in parents(step) if each in flow.steps] for name, step in flow.steps.items()}
    if not _responders(flow) or loops(flow):
        return
    ways: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(sources).static_order():
        step = flow.steps[name]
        joins = isinstance(step, TaskSpec) and step.class_name.rpartition(".")[2] in _JOINS
        count = sum(ways[each] for each in sources[name]) or int(not isinstance(step, ErrorStepSpec))
        ways[name] = min(count, 1) if joins else count
    for name in _responders(flow):
        if ways[name] > 1:
            told = (
                f"one event can get here in {ways[name]} ways, and its caller gets the first answer; "
                "join the branches with Merge, unless a step before chooses one of them"
            )
            yield Fault(name, "answers-twice", told)


_RULES: Final[tuple[Callable[[FlowSpec], Iterator[Fault]], ...]] = (
    _check_names,
    _check_references,
    _check_handlers,
    _check_work,
    _check_routes,
    _check_values,
    _check_loops,
    _check_responders,
    _check_reach,
    _check_functions,
)
