"""A graph while it is being defined: frozen steps by name, each replaced when it changes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import msgspec

from servegraph.errors import GraphError, nearest
from servegraph.graph.definition import Call, Definition, define
from servegraph.graph.live import Live
from servegraph.graph.naming import caller, illegal
from servegraph.graph.rules import children, reachable, unknown_step
from servegraph.graph.spec import AnyStep, ErrorStepSpec, FlowSpec, RouterSpec, TaskSpec, task_from_dict


class Named(Protocol):
    """Something that stands for a step, such as the handle that ``to`` returned."""

    @property
    def name(self) -> str:
        """The step's name."""
        ...


Steps: TypeAlias = str | Named | Iterable[str | Named] | None
"""One step or several, by name or by handle."""


class Draft:
    """The steps of a graph and what belongs to them; every call either happens whole or raises and changes nothing."""

    def __init__(self, flow: FlowSpec, live: Live | None = None) -> None:
        """Start from a flow, of which a copy is taken, and from the live objects that belong to it."""
        self.steps: dict[str, AnyStep] = copy.deepcopy(flow.steps)
        self.settings = msgspec.structs.replace(flow, steps={})
        self.live = live if live is not None else Live()

    def flow(self) -> FlowSpec:
        """Return the graph as it is now, sharing nothing with what may still be changed."""
        return msgspec.structs.replace(self.settings, steps=copy.deepcopy(self.steps))

    def step(self, name: str) -> AnyStep:
        """Return a step; raises GraphError with the nearest name where there is none."""
        found = self.steps.get(name)
        if found is None:
            raise GraphError(f"there is no step '{name}'{nearest(name, self.steps)}", code="unknown-step")
        return found

    def task(self, path: str) -> TaskSpec:
        """Return the route of a router at a path ``"router/route"``."""
        name, _, route = path.partition("/")
        router = self.router(name)
        found = router.routes.get(route)
        if found is None:
            raise GraphError(f"there is no route '{route}'{nearest(route, router.routes)}", name, "unknown-route")
        return found

    def router(self, name: str) -> RouterSpec:
        """Return a router; raises GraphError where the step is something else."""
        step = self.step(name)
        if not isinstance(step, RouterSpec):
            told = "it is no router and has no routes; a router is made with class_name='*' or a router's class"
            raise GraphError(told, name, "no-router")
        return step

    def has(self, path: str) -> bool:
        """Return whether there is a step or route at a path."""
        name, _, route = path.partition("/")
        step = self.steps.get(name)
        return step is not None if not route else isinstance(step, RouterSpec) and route in step.routes

    def change(self, name: str, **fields: Any) -> None:
        """Set fields of a step."""
        self.steps[name] = msgspec.structs.replace(self.step(name), **fields)

    def add(self, call: Call, after: Steps = None, before: Steps = None) -> str:
        """Add a step to the flow and return its name."""
        self.live.remember(caller())
        cycle_to = call.arguments.pop("cycle_to", None)
        with self._whole():
            definition = define(call, self.live, self.steps)
            name = definition.name
            sources, targets = self._sources(name, after), self.known(before, "before", name)
            if looped := set(sources) & set(targets):
                raise GraphError(f"it cannot come both after and before '{looped.pop()}'", name, "loop")
            moved = [source for target in targets for source in self.steps[target].after]
            self._put(name, definition, msgspec.structs.replace(definition.spec, after=_once([*sources, *moved])))
            for target in targets:
                self.change(target, after=(name,))
            self._add_routes(name, definition.routes)
            if cycle_to is not None:
                self.cycle(name, cycle_to)
        return name

    def guard(self, step: str | None, call: Call, before: Steps = None) -> str:
        """Give a step, or the whole graph (``None``), an error handler and return the handler's name.

        A name alone stands for a handler that is there already. The steps it goes on at (``before``) may come later.
        """
        self.live.remember(caller())
        with self._whole():
            name = call.name or ""
            if before is not None or not self._is_known_handler(call):
                definition = define(call, self.live, self.steps)
                name = definition.name
                self._put(name, definition, msgspec.structs.replace(definition.spec, before=names_of(before)))
            if step is None:
                self.settings = msgspec.structs.replace(self.settings, on_error=name)
            else:
                self.change(step, on_error=name)
        return name

    def add_route(self, router: str, call: Call) -> str:
        """Add a route to a router, in place of one of the same key, and return its path."""
        self.live.remember(caller())
        self.router(router)
        with self._whole():
            return self._put_route(router, define(call, self.live))

    def place_route(self, router: str, key: str, spec: TaskSpec) -> str:
        """Put a route that is defined already into a router and return its path."""
        if reason := illegal(key):
            raise GraphError(reason, f"{router}/{key}", "name")
        return self._put_route(router, Definition(key, copy.deepcopy(spec)))

    def cycle(self, name: str, targets: Steps) -> None:
        """Let a step lead back to others, or to itself."""
        if not self.settings.allow_cyclic:
            told = "cycles are not allowed in this graph; allow them with set_topology('flow', allow_cyclic=True)"
            raise GraphError(told, name, "cycle")
        for target in self.known(targets, "cycle_to", name):
            self.change(target, cycle_from=_once([*self.steps[target].cycle_from, name]))

    def chain(self, start: str | None, steps: Iterable[Any], force: bool) -> str | None:
        """Add steps one after the other and return the last one's name; ``force`` first removes those that follow."""
        following = self._following(start)
        if following and not force:
            told = f"set_flow() found steps here already ({', '.join(following)}); force=True replaces them"
            raise GraphError(told, start or "", "not-empty")
        with self._whole():
            self.remove(following)
            if start is None:
                self.settings = msgspec.structs.replace(self.settings, on_error="")
            for step in steps:
                given = dict(step) if isinstance(step, Mapping) else {"class_name": step}
                call = Call(given.pop("class_name", None), given.pop("name", None), given.pop("handler", None), given)
                start = self.add(call, after=start)
        return start

    def remove(self, names: Iterable[str]) -> None:
        """Take steps and routes away by their paths; what names them elsewhere is left to be put right."""
        for path in names:
            name, _, route = path.partition("/")
            if route:
                self.task(path)
                del self.router(name).routes[route]
            else:
                self.step(name)
                del self.steps[name]
            self.live.forget(path)

    def known(self, given: Steps, field: str, step: str) -> tuple[str, ...]:
        """Return the names of steps that are there; raises GraphError for all others, which a step's field names."""
        names = names_of(given)
        if unknown := [unknown_step(self.steps, step, field, name) for name in names if name not in self.steps]:
            raise GraphError(unknown)
        return names

    def _sources(self, name: str, after: Steps) -> tuple[str, ...]:
        if after == "$prev":
            steps = [name for name, step in self.steps.items() if not isinstance(step, ErrorStepSpec)]
            return tuple(steps[-1:])
        return self.known(after, "after", name)

    def _following(self, start: str | None) -> list[str]:
        if start is None:
            return list(self.steps)
        flow = msgspec.structs.replace(self.flow(), on_error="")
        self.step(start)
        onward = reachable(flow, children(flow)[start])
        return [name for name in flow.steps if name in onward and name != start]

    def _put(self, name: str, definition: Definition, spec: AnyStep) -> None:
        self._keep(name, definition)
        self.steps[name] = spec

    def _keep(self, path: str, definition: Definition) -> None:
        self.live.forget(path)
        if definition.instance is not None:
            self.live.instances[path] = definition.instance
        if definition.arguments:
            self.live.arguments[path] = definition.arguments

    def _put_route(self, router: str, definition: Definition) -> str:
        path = f"{router}/{definition.name}"
        self._keep(path, definition)
        self.router(router).routes[definition.name] = definition.task
        return path

    def _add_routes(self, router: str, routes: Mapping[str, Any]) -> None:
        for key, given in routes.items():
            if isinstance(given, Mapping):
                given = task_from_dict(given, f"{router}/{key}")
            if isinstance(given, TaskSpec):
                self.place_route(router, key, given)
            else:
                self.add_route(router, Call(given, key, None, {}, "route"))

    def _is_known_handler(self, call: Call) -> bool:
        is_name_alone = call.class_name is None and call.handler is None and not call.arguments
        return is_name_alone and isinstance(self.steps.get(call.name or ""), ErrorStepSpec)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        live = self.live
        steps, settings = dict(self.steps), self.settings
        names, instances, arguments = dict(live.names), dict(live.instances), dict(live.arguments)
        try:
            yield
        except BaseException:
            self.steps, self.settings = steps, settings
            live.names, live.instances, live.arguments = names, instances, arguments
            raise


def names_of(given: Steps) -> tuple[str, ...]:
    """Return the names behind names and handles, each once; raises GraphError for anything else."""
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        given = (given,)
    return _once([each if isinstance(each, str) else _name_of(each) for each in given])


def _name_of(step: Named) -> str:
    name = getattr(step, "name", None)
    if not isinstance(name, str):
        raise GraphError(f"a step or the name of one is needed here, not {type(step).__name__}", code="type")
    return name


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
