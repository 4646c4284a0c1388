"""What a user defines a graph with: a flow of steps, or a router with its routes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from servegraph.errors import GraphError, nearest
from servegraph.graph import draw
from servegraph.graph.definition import Call, Handler
from servegraph.graph.draft import Draft, Steps, names_of
from servegraph.graph.draw import Picture
from servegraph.graph.handles import RouterHandle, StepHandle, handle
from servegraph.graph.live import Live
from servegraph.graph.spec import (
    ROOT_ROUTER,
    FlowSpec,
    GraphSpec,
    RouterSpec,
    as_flow,
    from_dict,
    make,
    to_dict,
    to_json,
    to_yaml,
)


class _Graph:
    """What both kinds of graph offer besides their steps: the graph as data, and as a picture."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def spec(self) -> GraphSpec:
        """The graph as it is now, as frozen data of its own."""
        return self._draft.flow()

    @property
    def live(self) -> Live:
        """The classes, functions and instances that the graph was defined with."""
        return self._draft.live

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as plain data."""
        return to_dict(self.spec)

    def to_json(self, indent: int = 2) -> str:
        """Return the graph as JSON text."""
        return to_json(self.spec, indent)

    def to_yaml(self) -> str:
        """Return the graph as YAML text."""
        return to_yaml(self.spec)

    def plot(
        self, filename: str | Path | None = None, format: str | None = None, rankdir: str = "LR", **options: Any
    ) -> Picture:
        """Return the graph's picture, and write it where a file is named: see ``servegraph.graph.draw.plot``."""
        return draw.plot(self.spec, filename, format, rankdir, **options)

    def _repr_html_(self) -> str:
        return self.plot().html

    def add_model(self, *args: Any, **options: Any) -> NoReturn:
        """Raise GraphError: models are added to functions and routers."""
        told = "a graph has no add_model(); use the function's fn.add_model(...), or add_route(...) of a router"
        raise GraphError(told, code="no-router")


class FlowGraph(_Graph):
    """A graph of the flow topology: steps by name, and the arrows between them."""

    @property
    def steps(self) -> dict[str, StepHandle]:
        """The steps by name, in order of definition."""
        return {name: self[name] for name in self}

    def to(
        self, class_name: Any = None, name: str | None = None, handler: Handler | None = None, **options: Any
    ) -> StepHandle:
        """Add a step that the graph starts with and return it; takes what ``add_step`` takes, but no ``after``."""
        return handle(self._draft, self._draft.add(Call(class_name, name, handler, options)))

    def add_step(
        self,
        class_name: Any = None,
        name: str | None = None,
        handler: Handler | None = None,
        after: Steps = None,
        before: Steps = None,
        **options: Any,
    ) -> StepHandle:
        """Add a step anywhere in the graph and return it.

        Args:
            class_name: What the step is: a class, its name (``"Name"``, ``"package.module.Name"``) or an instance;
                ``"*"`` or ``"*package.Router"`` for a router (``routes=`` takes a dict of routes), ``">>"`` or
                ``"$queue"`` for a queue, ``"$remote"`` for a call to another service.
            name: The step's name; one is made from the class or function where it is left out.
            handler: Without a class, the function to run: itself, a lambda, its (dotted) name or an expression of
                ``event`` in parentheses. With a class, the name of the method to run.
            after: The step or steps whose events this one gets, by name or handle; ``"$prev"`` is the last one added.
                Without it the graph starts with this step.
            before: The step or steps that get this one's events; what they came after, this one now comes after.
            **options: Arguments of the class, but for these options, which every step takes:
                ``full_event`` gives the whole event to the step, not only its body;
                ``input_path``, ``result_path`` say where in a dict body the input is and the result goes (``"a.b"``);
                ``function`` names the (child) function that runs the step;
                ``cycle_to`` names earlier steps it may lead back to, ``max_iterations`` bounds how often;
                ``run_in`` is ``"auto"``, ``"loop"``, ``"thread"`` or ``"process"``;
                ``timeout`` bounds one call (seconds), ``retries`` says how often a failed call is made again, first
                after ``backoff_factor`` seconds, ``max_in_flight`` how many run at the same time;
                ``graph_shape`` is the shape in pictures; ``model_endpoint_creation_strategy`` has no effect.
                A queue takes ``path`` (required, may be ``None``), ``shards``, ``retention_in_hours``,
                ``trigger_args``, and keeps all others as options of its stream. Functions may be given under names
                with a leading underscore (``_fn=``), by name, as an expression or themselves.

        Raises GraphError for what the call alone shows: a name that is taken, an unknown step, a wrong type.
        """
        return handle(self._draft, self._draft.add(Call(class_name, name, handler, options), after, before))

    def set_flow(self, steps: Iterable[Any], force: bool = False) -> StepHandle | FlowGraph:
        """Fill the graph with a chain of steps and return the last one.

        Each is a class, its name, an instance or a function, or a dict of the arguments of ``to``. Raises GraphError
        when there are steps already, which ``force`` removes.
        """
        last = self._draft.chain(None, steps, force)
        return self if last is None else handle(self._draft, last)

    def error_handler(
        self, name: str | None = None, class_name: Any = None, handler: Handler | None = None, **options: Any
    ) -> FlowGraph:
        """Let a step have the events that fail in any step without a handler of its own, and return the graph.

        Takes the options of ``add_step``; see ``StepHandle.error_handler``.
        """
        _guard(self._draft, None, name, class_name, handler, options)
        return self

    def remove(self, names: Steps = None) -> None:
        """Take steps away (a route by ``"router/route"``), all of them when no names are given."""
        self._draft.remove(names_of(names) or list(self._draft.steps))

    def add_route(self, *args: Any, **options: Any) -> NoReturn:
        """Raise GraphError: routes are added to routers."""
        routers = [name for name, step in self._draft.steps.items() if isinstance(step, RouterSpec)]
        where = f"one of its routers: {', '.join(routers)}" if routers else "a router, added with add_step('*')"
        raise GraphError(f"a flow has no routes; add them to {where}", code="no-router")

    def __getitem__(self, name: str) -> StepHandle:
        return handle(self._draft, name)

    def __delitem__(self, name: str) -> None:
        self._draft.remove([name])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._draft.has(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._draft.steps))

    def __repr__(self) -> str:
        return f"<FlowGraph: {', '.join(self._draft.steps) or 'no steps'}>"


class RouterGraph(_Graph):
    """A graph of the router topology: one router, and its routes by name."""

    def __init__(self, draft: Draft, name: str) -> None:
        """Take the draft that holds the router, and the router's name in it."""
        super().__init__(draft)
        self._root = RouterHandle(draft, name)

    @property
    def spec(self) -> RouterSpec:
        """The graph as it is now, as frozen data of its own."""
        root = copy.deepcopy(self._root.spec)
        name = "" if self._root.name == ROOT_ROUTER else self._root.name
        return msgspec.structs.replace(root, name=name, error_step=self._draft.flow().steps.get(root.on_error))

    @property
    def name(self) -> str:
        """The router's name."""
        return self._root.name

    @property
    def routes(self) -> dict[str, StepHandle]:
        """The routes by name, in order of definition."""
        return self._root.routes

    def add_route(
        self, key: str, route: Any = None, class_name: Any = None, handler: Handler | None = None, **options: Any
    ) -> StepHandle:
        """Add a route and return it: see ``RouterHandle.add_route``."""
        return self._root.add_route(key, route, class_name, handler, **options)

    def error_handler(
        self, name: str | None = None, class_name: Any = None, handler: Handler | None = None, **options: Any
    ) -> RouterGraph:
        """Let a step have the events that fail, and return the graph; its answer is the caller's."""
        _guard(self._draft, self._root.name, name, class_name, handler, options)
        return self

    def remove(self, names: Steps = None) -> None:
        """Take routes away, all of them when no names are given."""
        self._draft.remove([f"{self.name}/{key}" for key in names_of(names) or self._root])

    def to(self, *args: Any, **options: Any) -> NoReturn:
        """Raise GraphError: a router has routes, no steps."""
        told = "a graph of the router topology has routes only; for steps, start with set_topology('flow')"
        raise GraphError(told, code="no-flow")

    add_step = to

    def __getitem__(self, key: str) -> StepHandle:
        return self._root[key]

    def __delitem__(self, key: str) -> None:
        del self._root[key]

    def __contains__(self, key: object) -> bool:
        return key in self._root

    def __iter__(self) -> Iterator[str]:
        return iter(self._root)

    def __repr__(self) -> str:
        return f"<RouterGraph '{self.name}': {', '.join(self) or 'no routes'}>"


def new_graph(
    topology: str = "router",
    class_name: Any = None,
    engine: str | None = None,
    allow_cyclic: bool = False,
    max_iterations: int | None = None,
    **class_args: Any,
) -> FlowGraph | RouterGraph:
    """Return an empty graph.

    A ``"router"`` takes ``class_name`` (a router's class, its name or an instance; the model router unless given) and
    arguments and options as a step does; ``allow_empty=True`` lets it start without routes. A ``"flow"`` takes
    ``engine`` (``"async"``, the default, or ``"sync"``), ``allow_cyclic`` and ``max_iterations``. Raises GraphError.
    """
    if topology == "router":
        if allow_cyclic or max_iterations is not None or engine == "async":
            given = "engine='async'" if engine == "async" else "cycles"
            raise GraphError(f"a router topology has no {given}; use set_topology('flow')", code="topology")
        return _new_router(class_name, class_args)
    if topology != "flow":
        hint = nearest(str(topology), ("router", "flow"))
        raise GraphError(f"unsupported topology '{topology}', use 'router' or 'flow'{hint}", code="topology")
    if class_name is not None or class_args:
        given = ", ".join((["class_name"] if class_name is not None else []) + list(class_args))
        hint = nearest(given, ("engine", "allow_cyclic", "max_iterations"))
        raise GraphError(f"a flow has no class and no arguments, it was given {given}{hint}", code="keyword")
    return FlowGraph(Draft(_settings(engine or "async", allow_cyclic, max_iterations)))


def load_graph(spec: GraphSpec | Mapping[str, Any], live: Live | None = None) -> FlowGraph | RouterGraph:
    """Return a graph that goes on from a spec or its plain data, with the live objects that belong to it, if any."""
    graph: GraphSpec = from_dict(spec) if isinstance(spec, Mapping) else spec
    draft = Draft(as_flow(graph), live)
    if isinstance(graph, FlowSpec):
        return FlowGraph(draft)
    name = graph.name or ROOT_ROUTER
    draft.change(name, responder=graph.responder)
    return RouterGraph(draft, name)


def _new_router(class_name: Any, class_args: dict[str, Any]) -> RouterGraph:
    if class_name is None or isinstance(class_name, str):
        class_name = f"*{(class_name or '').removeprefix('*')}"
    draft = Draft(FlowSpec(engine="sync"))
    name = draft.add(Call(class_name, class_args.pop("name", ROOT_ROUTER), None, class_args))
    if not isinstance(draft.step(name), RouterSpec):
        told = "the class of a router topology must be a router: it has attach, select and merge (protocols.Router)"
        raise GraphError(told, name, "no-router")
    return RouterGraph(draft, name)


def _settings(engine: str, allow_cyclic: bool, max_iterations: int | None) -> FlowSpec:
    if allow_cyclic and engine == "sync":
        raise GraphError("the sync engine runs no cycles; use engine='async'", code="cycle-in-sync")
    fields = {"engine": engine, "allow_cyclic": allow_cyclic, "max_iterations": max_iterations}
    return make(FlowSpec, fields)


def _guard(
    draft: Draft, step: str | None, name: str | None, class_name: Any, handler: Handler | None, options: dict[str, Any]
) -> None:
    if options.pop("before", None) is not None:
        told = "the error handler of a whole graph has no 'before': nobody knows where the event came from"
        raise GraphError(told, name or "", "handler-before")
    draft.guard(step, Call(class_name, name, handler, options, "error handler"))
