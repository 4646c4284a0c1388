"""What a user holds of one step: a handle to read it, to go on from it and to change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from servegraph.errors import GraphError, nearest
from servegraph.graph.definition import Call, Handler
from servegraph.graph.draft import Draft, Named, Steps, names_of
from servegraph.graph.spec import AnyStep, QueueSpec, RouterSpec, TaskSpec


class StepHandle:
    """One step of a graph; the fields of its spec (``class_name``, ``function`` ...) are its attributes."""

    def __init__(self, draft: Draft, path: str) -> None:
        """Hold the step at a path of a draft."""
        self._draft = draft
        self._path = path

    @property
    def name(self) -> str:
        """The step's name in its graph, or the route's in its router."""
        return self._path.rpartition("/")[2]

    @property
    def spec(self) -> AnyStep:
        """The step as data; raises GraphError once it has been taken out of the graph."""
        return self._draft.step(self._path)

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_"):
            raise AttributeError(field)
        fields = type(self.spec).__struct_fields__
        if field not in fields:
            raise AttributeError(f"step '{self._path}' has no '{field}'{nearest(field, [*fields, *dir(type(self))])}")
        return getattr(self.spec, field)

    def to(
        self, class_name: Any = None, name: str | None = None, handler: Handler | None = None, **options: Any
    ) -> StepHandle:
        """Add a step after this one and return it; takes what ``FlowGraph.add_step`` takes, but no ``after``."""
        return handle(self._draft, self._draft.add(Call(class_name, name, handler, options), after=self._path))

    def after(self, *steps: str | Named | Iterable[str | Named]) -> StepHandle:
        """Let this step come after others, besides those it comes after already, and return it."""
        return self.after_step(*steps)

    def after_step(self, *after: str | Named | Iterable[str | Named], append: bool = True) -> StepHandle:
        """Let this step come after others, with ``append=False`` only after those, and return it."""
        given = [name for each in after for name in self._draft.known(each, "after", self._path)]
        if self._path in given:
            raise GraphError("a step cannot come after itself; use cycle_to for a loop", self._path, "loop")
        kept = self.spec.after if append else ()
        self._draft.change(self._path, after=names_of([*kept, *given]))
        return self

    def cycle_to(self, names: Steps) -> StepHandle:
        """Let this step lead back to earlier ones (or to itself) and return it; the graph must allow cycles."""
        self._draft.cycle(self._path, names)
        return self

    def set_flow(self, steps: Iterable[Any], force: bool = False) -> StepHandle:
        """Add a chain of steps after this one and return the last: see ``FlowGraph.set_flow``."""
        last = self._draft.chain(self._path, steps, force)
        return handle(self._draft, last) if last else self

    def respond(self) -> StepHandle:
        """Let this step answer the caller with the body that leaves it, and return it."""
        self._draft.change(self._path, responder=True)
        return self

    def error_handler(
        self,
        name: str | None = None,
        class_name: Any = None,
        handler: Handler | None = None,
        before: Steps = None,
        **options: Any,
    ) -> StepHandle:
        """Let another step have the events that fail in this one, and return this one (the guarded step).

        The handler gets the event as it came in here, with ``error`` and ``origin_state`` when ``full_event`` is set.
        ``before`` names the steps the event then goes on to; without it (and without steps added after the handler
        through ``graph[name].to``) the flow is done with the handler's answer. A ``name`` alone shares a handler that
        is there already. Takes the options of ``FlowGraph.add_step``.
        """
        self._draft.guard(self._path, Call(class_name, name, handler, options, "error handler"), before)
        return self

    def add_route(
        self,
        key: str,
        route: TaskSpec | None = None,
        class_name: Any = None,
        handler: Handler | None = None,
        **options: Any,
    ) -> StepHandle:
        """Add a route, where this step is a router; raises GraphError here, where it is none."""
        return RouterHandle(self._draft, self._path).add_route(key, route, class_name, handler, **options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepHandle) and (self._draft, self._path) == (other._draft, other._path)

    def __hash__(self) -> int:
        return hash((id(self._draft), self._path))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *type(self.spec).__struct_fields__})

    def __repr__(self) -> str:
        told = _shown(self.spec) if self._draft.has(self._path) else "taken out of its graph"
        return f"<{type(self).__name__} '{self._path}': {told}>"


class QueueHandle(StepHandle):
    """One queue of a graph; its attributes are ``path``, ``shards``, ``retention_in_hours``, ``options`` ..."""

    def respond(self) -> StepHandle:
        """Raise GraphError: a queue has no answer."""
        told = "a queue cannot respond; the caller is answered as soon as it has taken the event"
        raise GraphError(told, self._path, "queue-responds")


class RouteHandle(StepHandle):
    """One route of a router: it is read and run like a step, but no arrows lead from or to it."""

    @property
    def spec(self) -> TaskSpec:
        """The route as data."""
        return self._draft.task(self._path)

    def to(
        self, class_name: Any = None, name: str | None = None, handler: Handler | None = None, **options: Any
    ) -> StepHandle:
        """Raise GraphError: what follows a route follows its router."""
        raise self._no_step("nothing comes after a route; go on from its router")

    def after_step(self, *after: str | Named | Iterable[str | Named], append: bool = True) -> StepHandle:
        """Raise GraphError: a route comes after nothing."""
        raise self._no_step("a route comes after nothing; place its router instead")

    def cycle_to(self, names: Steps) -> StepHandle:
        """Raise GraphError: a route leads nowhere."""
        raise self._no_step("a route leads nowhere; use cycle_to of its router")

    def set_flow(self, steps: Iterable[Any], force: bool = False) -> StepHandle:
        """Raise GraphError: what follows a route follows its router."""
        raise self._no_step("nothing comes after a route; go on from its router")

    def respond(self) -> StepHandle:
        """Raise GraphError: the router responds."""
        raise self._no_step("a route does not respond, its router does")

    def error_handler(
        self,
        name: str | None = None,
        class_name: Any = None,
        handler: Handler | None = None,
        before: Steps = None,
        **options: Any,
    ) -> StepHandle:
        """Raise GraphError: the router is guarded as a whole."""
        raise self._no_step("a route has no error handler of its own; give its router one")

    def _no_step(self, message: str) -> GraphError:
        return GraphError(message, self._path, "route")


class RouterHandle(StepHandle):
    """One router of a graph, and a mapping of its routes by name."""

    @property
    def spec(self) -> RouterSpec:
        """The router as data."""
        return self._draft.router(self._path)

    @property
    def routes(self) -> dict[str, StepHandle]:
        """The routes by name, in order of definition."""
        return {key: self[key] for key in self}

    def add_route(
        self,
        key: str,
        route: TaskSpec | None = None,
        class_name: Any = None,
        handler: Handler | None = None,
        **options: Any,
    ) -> StepHandle:
        """Add a route and return it; a route of the same key is replaced.

        It is given by ``class_name`` or ``handler`` with the options of ``FlowGraph.add_step``, or whole as a
        ``route``, such as the ``spec`` of another one. Raises GraphError.
        """
        if route is None:
            return RouteHandle(
                self._draft, self._draft.add_route(self._path, Call(class_name, key, handler, options, "route"))
            )
        if type(route) is not TaskSpec:
            raise GraphError(f"route is a TaskSpec, not {type(route).__name__}", f"{self._path}/{key}", "type")
        if class_name is not None or handler is not None or options:
            raise GraphError("give either a route or what to make one of", f"{self._path}/{key}", "route")
        return RouteHandle(self._draft, self._draft.place_route(self._path, key, route))

    def __getitem__(self, key: str) -> StepHandle:
        self._draft.task(f"{self._path}/{key}")
        return RouteHandle(self._draft, f"{self._path}/{key}")

    def __delitem__(self, key: str) -> None:
        self._draft.remove([f"{self._path}/{key}"])

    def __contains__(self, key: object) -> bool:
        return key in self.spec.routes

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.spec.routes))


_HANDLES: dict[type[Any], type[StepHandle]] = {RouterSpec: RouterHandle, QueueSpec: QueueHandle}


def handle(draft: Draft, path: str) -> StepHandle:
    """Return the handle of the step or route at a path; raises GraphError where there is none."""
    if "/" in path:
        draft.task(path)
        return RouteHandle(draft, path)
    return _HANDLES.get(type(draft.step(path)), StepHandle)(draft, path)


def _shown(spec: AnyStep) -> str:
    plain = msgspec.structs.asdict(type(spec)())
    fields = {key: value for key, value in msgspec.structs.asdict(spec).items() if value != plain[key]}
    return ", ".join(f"{key}={list(value) if key == 'routes' else value!r}" for key, value in fields.items())
