"""From a spec to a plan: every name bound, every arrow linked, every fault reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from servegraph.bodies import split_path
from servegraph.context import Context
from servegraph.engine.bind import Bound, Found, build, find, is_async
from servegraph.engine.calls import make_call
from servegraph.engine.gate import Gate, Line
from servegraph.engine.link import holds, joins, link, spread, stream
from servegraph.engine.names import Names
from servegraph.engine.node import Node, Place, Routes, RouteView
from servegraph.engine.run import Answers
from servegraph.errors import Fault, GraphError, StepError
from servegraph.graph import rules
from servegraph.graph.spec import FlowSpec, GraphSpec, QueueSpec, RouterSpec, TaskSpec, as_flow, tasks
from servegraph.pools.processes import ProcessStep, cores
from servegraph.steps.options import StepOptions

_NO_PATH: Final[tuple[str, ...]] = ()


class Plan:
    """A graph compiled for one process; ``start`` loads its models, ``close`` ends what its steps hold open.

    ``detached`` says whether work may go on after the answer, ``plain`` whether every step is a sync call that may
    run on a caller's own thread, ``ordered`` whether branches run one after the other.
    """

    def __init__(self, flow: FlowSpec, nodes: dict[str, Node], context: Context, ordered: bool) -> None:
        """Link the nodes of a flow."""
        self.flow = flow
        self.nodes = nodes
        self.context = context
        self.ordered = ordered
        link(flow, nodes)
        self.starts = tuple(nodes[name] for name in rules.starts(flow))
        responds = any(node.responds for node in nodes.values())
        self.answers: Answers = "responder" if responds else "last" if ordered else "receipt"
        spread(nodes, self.answers)
        stream(nodes)
        self.joints = any(joins(node) for node in nodes.values())
        self.holders = tuple(node for node in nodes.values() if holds(node))
        branches = len(self.starts) > 1 or any(len(node.children) > 1 for node in nodes.values())
        behind = any(node.responds and node.children for node in nodes.values())
        self.detached = bool(self.holders) or (not ordered and (not responds or branches or behind))

    @property
    def plain(self) -> bool:
        """Whether the calling thread can do all the work."""
        return not self.detached and all(node.plain for node in self.everything())

    def everything(self) -> Iterator[Node]:
        """Yield every node, routes included."""
        for node in self.nodes.values():
            yield node
            if node.router is not None:
                yield from list(node.router.nodes.values())

    def start(self, load_mode: str = "sync") -> None:
        """Let every step load what it needs; raises GraphError with all that failed."""
        faults: list[Fault] = []
        for node in self.everything():
            faults += load(node, load_mode)
        if faults:
            raise GraphError(faults)

    def close(self) -> None:
        """Tell every step that no more events come; one that fails does not keep the others from closing."""
        for node in self.everything():
            release(node, self.context)


def check_graph(spec: GraphSpec, names: Names) -> list[Fault]:
    """Return every fault of a graph: its structure, its names, its keywords."""
    faults = rules.check(spec)
    _find_all(spec, names, faults)
    return faults


def compile_graph(spec: GraphSpec, names: Names, context: Context) -> Plan:
    """Return the plan of a graph with every step constructed; raises GraphError with all faults at once."""
    faults = rules.check(spec)
    founds = _find_all(spec, names, faults)
    flow = as_flow(spec)
    if not context.is_mock:
        faults += _streams(flow)
    if faults:
        raise GraphError(faults)
    causes: list[BaseException] = []
    nodes: dict[str, Node] = {}
    for name, step in flow.steps.items():
        if not isinstance(step, TaskSpec):
            nodes[name] = Node(name, lambda event: event)
    for path, found in founds.items():
        try:
            node = make_node(found, context)
        except GraphError as error:
            faults += error.faults
            causes += [error.__cause__] if error.__cause__ is not None else []
            continue
        name, _, route = path.partition("/")
        if route and name in nodes:
            nodes[name].router.nodes[route] = node  # type: ignore[union-attr]
        else:
            nodes[name] = node
    if faults:
        raise GraphError(faults) from (causes[0] if causes else None)
    plan = Plan(flow, nodes, context, ordered=isinstance(spec, FlowSpec) and spec.engine == "sync")
    _share_gates(plan)
    return plan


def _streams(flow: FlowSpec) -> Iterator[Fault]:
    for name, step in flow.steps.items():
        if isinstance(step, QueueSpec) and step.path:
            told = f"the stream '{step.path}' is not written to: only the mock runs queues so far, in memory"
            yield Fault(name, "queue", f"{told}; leave out path= for a queue inside one process")


def make_node(found: Found, context: Context) -> Node:
    """Return the node of one step, constructed and not yet linked."""
    spec = found.spec
    bound = build(found, context)
    options = _options(spec, bound)
    pool = _pool(found.path, bound, options) if options.run_in == "process" else None
    if pool is not None:
        bound = replace(bound, call=pool, is_async=True)
    is_router = hasattr(bound.owner, "attach") and hasattr(bound.owner, "merge") and spec.__class__ is not TaskSpec
    node = Node(found.path, bound.call if is_router else make_call(bound, *_paths(spec, bound)))
    if is_router:
        node.router = Routes(bound.owner.merge)
        bound.owner.attach(RouteView(node.router))
    node.owner = bound.owner if bound.owner is not None else bound.call
    node.pool = pool
    node.is_async = bound.is_async
    node.run_in = "loop" if bound.trusted and options.run_in == "auto" else options.run_in
    node.retries, node.backoff = options.retries, options.backoff_factor
    node.timeout = None if "timeout" in bound.kept else spec.timeout
    node.gate = _gate(options, bound)
    node.line = Line() if options.ordered else None
    node.place = Place.INLINE if node.run_in == "loop" and node.plain else Place.ELSEWHERE
    node.responds = spec.responder
    return node


def _options(spec: TaskSpec, bound: Bound) -> StepOptions:
    """Return how a step is to be run: as its class asks, else as the graph says, unless its constructor does it."""
    own = getattr(bound.owner, "step_options", None)
    if isinstance(own, StepOptions):
        return own if spec.run_in == "auto" else replace(own, run_in=spec.run_in)
    retries = 0 if {"timeout", "retries"} & bound.kept else spec.retries or 0
    limit = None if "max_in_flight" in bound.kept else spec.max_in_flight
    backoff = 1.0 if spec.backoff_factor is None else spec.backoff_factor
    return StepOptions(spec.run_in, limit, retries, backoff)


def _pool(path: str, bound: Bound, options: StepOptions) -> ProcessStep:
    """Return what calls a step in processes; an instance that is not said to be used at once gets a single one."""
    return ProcessStep(bound.call, options.max_in_flight or (cores() if bound.owner is None else 1), path)


def _paths(spec: TaskSpec, bound: Bound) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if bound.whole:
        return _NO_PATH, _NO_PATH
    return split_path(spec.input_path), split_path(spec.result_path)


def _gate(options: StepOptions, bound: Bound) -> Gate | None:
    if options.max_in_flight is not None:
        return Gate(options.max_in_flight)
    return None if bound.is_async or bound.trusted or bound.owner is None else Gate(1)


def _share_gates(plan: Plan) -> None:
    """Let steps that were defined with one and the same instance share its gate."""
    gates: dict[int, Gate] = {}
    for node in plan.everything():
        if node.gate is not None and node.gate.limit == 1:
            owner = getattr(node.owner, "__self__", node.owner)
            node.gate = gates.setdefault(id(owner), node.gate)


def _find_all(spec: GraphSpec, names: Names, faults: list[Fault]) -> dict[str, Found]:
    founds = {}
    for path, task in tasks(spec):
        found = find(path, task, names, faults)
        if found is not None:
            founds[path] = found
        if task.run_in == "process" and isinstance(task, RouterSpec):
            told = "a router cannot run in a process: give run_in='process' to its routes"
            faults.append(Fault(path, "run-in", told))
    return founds


def load(node: Node, load_mode: str) -> list[Fault]:
    """Let a step get ready: its ``post_init``, where it has one, then its processes; return what went wrong."""
    try:
        _initialize(node, load_mode)
        if node.pool is not None:
            node.pool.start()
    except GraphError as error:
        # A step knows its own name at most, not the path at which it stands.
        return [Fault(node.path, fault.code, fault.message) for fault in error.faults]
    except StepError as error:
        return [Fault(node.path, "load", str(error))]
    except Exception as error:
        return [Fault(node.path, "load", f"{type(error).__name__}: {error}" if str(error) else repr(error))]
    return []


def _initialize(node: Node, load_mode: str) -> None:
    post_init: Callable[..., Any] | None = getattr(node.owner, "post_init", None)
    if post_init is None:
        return
    if is_async(post_init):
        raise TypeError("post_init cannot be async")
    post_init(load_mode)


def release(node: Node, context: Context) -> None:
    """Let a step's processes go and call its ``close``, where it has one."""
    if node.pool is not None:
        node.pool.close()
    close: Callable[[], Any] | None = getattr(node.owner, "close", None)
    if close is None or isinstance(node.owner, type):
        return
    try:
        close()
    except Exception as error:
        context.logger.warning(f"step '{node.path}' could not be closed: {type(error).__name__}: {error}")
