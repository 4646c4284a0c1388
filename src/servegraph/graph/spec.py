"""A graph as frozen data: the same in Python, JSON and YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec

from servegraph.errors import Fault, GraphError, nearest

RunIn: TypeAlias = Literal["auto", "loop", "thread", "process"]
Engine: TypeAlias = Literal["async", "sync"]


class _Frozen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every spec is: frozen, compared by value, written without its defaults."""


Spec = TypeVar("Spec", bound=_Frozen)


class StepSpec(_Frozen, tag_field="kind", frozen=True):
    """What all steps have: where they stand (``after``), where they run (``function``), where their errors go.

    ``on_error`` names the error handler step; ``cycle_from`` the steps that may lead back to this one.
    """

    after: tuple[str, ...] = ()
    function: str = ""
    on_error: str = ""
    comment: str = ""
    shape: str = ""
    max_iterations: int | None = None
    cycle_from: tuple[str, ...] = ()


class TaskSpec(StepSpec, tag="task", frozen=True):
    """A step that runs a function or an instance of a class.

    ``handler`` alone is a function's name or an expression in parentheses; with ``class_name`` it is a method's name.
    ``timeout`` and ``backoff_factor`` are seconds.
    """

    class_name: str = ""
    class_args: dict[str, Any] = {}
    handler: str = ""
    full_event: bool | None = None
    input_path: str = ""
    result_path: str = ""
    responder: bool = False
    run_in: RunIn = "auto"
    timeout: float | None = None
    retries: int | None = None
    backoff_factor: float | None = None
    max_in_flight: int | None = None


class ErrorStepSpec(TaskSpec, tag="error_step", frozen=True):
    """A step that gets the events of a failed step; the event then goes on at ``before``, or is done."""

    before: tuple[str, ...] = ()


class RouterSpec(TaskSpec, tag="router", frozen=True):
    """A step with named child routes; as the root of a graph it is the ``router`` topology.

    ``allow_empty`` declares that it may start without routes. ``name`` and ``error_step`` are for a root only: what it
    is called, and the error handler that ``on_error`` names, which in a flow is one of the steps.
    """

    name: str = ""
    routes: dict[str, TaskSpec] = {}
    allow_empty: bool = False
    error_step: ErrorStepSpec | None = None


class QueueSpec(StepSpec, tag="queue", frozen=True):
    """A queue that takes events from the steps before it and hands them to the steps after it."""

    path: str = ""
    shards: int | None = None
    retention_in_hours: int | None = None
    full_event: bool | None = None
    options: dict[str, Any] = {}
    trigger_args: dict[str, Any] = {}


AnyStep: TypeAlias = TaskSpec | ErrorStepSpec | RouterSpec | QueueSpec


class FlowSpec(_Frozen, tag_field="kind", tag="root", frozen=True):
    """A graph of steps; ``steps`` keeps the order of definition, ``on_error`` handles what no other handler does."""

    steps: dict[str, AnyStep] = {}
    engine: Engine = "async"
    on_error: str = ""
    allow_cyclic: bool = False
    max_iterations: int | None = None
    final_step: str = ""


GraphSpec: TypeAlias = FlowSpec | RouterSpec

ROOT_ROUTER: Final = "router"
"""What the router of a graph of the router topology is called, unless it has a name of its own."""

REMOTE_STEP: Final = "mlrun.serving.RemoteStep"
"""The class that the short form ``"$remote"`` stands for."""


def as_flow(spec: GraphSpec) -> FlowSpec:
    """Return the flow that a graph is: a router topology is a sync flow of one responding router.

    The root's error handler becomes the second step.
    """
    if isinstance(spec, FlowSpec):
        return spec
    root = msgspec.structs.replace(spec, responder=True, error_step=None)
    steps: dict[str, AnyStep] = {spec.name or ROOT_ROUTER: root}
    if spec.error_step is not None and spec.on_error:
        steps.setdefault(spec.on_error, spec.error_step)
    return FlowSpec(steps=steps, engine="sync")


def tasks(spec: GraphSpec) -> Iterator[tuple[str, TaskSpec]]:
    """Yield every step that runs code with its path: ``"step"`` or, for a route, ``"router/route"``."""
    for name, step in as_flow(spec).steps.items():
        if isinstance(step, TaskSpec):
            yield name, step
        if isinstance(step, RouterSpec):
            for route, task in step.routes.items():
                yield f"{name}/{route}", task


def to_dict(spec: GraphSpec) -> dict[str, Any]:
    """Return a graph as plain data, without what is at its default."""
    data: dict[str, Any] = msgspec.to_builtins(spec)
    return data


def to_json(spec: GraphSpec, indent: int = 2) -> str:
    """Return a graph as JSON text."""
    return msgspec.json.format(msgspec.json.encode(spec), indent=indent).decode()


def to_yaml(spec: GraphSpec) -> str:
    """Return a graph as YAML text."""
    return msgspec.yaml.encode(spec).decode()


def from_json(text: str | bytes) -> GraphSpec:
    """Read a graph from JSON text; raises GraphError saying where the text is wrong."""
    return from_dict(_parsed(msgspec.json.decode, text, "JSON"))


def from_yaml(text: str | bytes) -> GraphSpec:
    """Read a graph from YAML text; raises GraphError saying where the text is wrong."""
    return from_dict(_parsed(msgspec.yaml.decode, text, "YAML"))


def _parsed(decode: Any, text: str | bytes, language: str) -> Any:
    try:
        return decode(text)
    except msgspec.DecodeError as error:
        raise GraphError(f"this is not {language}: {error}", code="syntax") from error


def from_dict(data: Mapping[str, Any]) -> GraphSpec:
    """Read a graph from plain data, MLRun's graph dicts included; raises GraphError naming every fault at once."""
    if not isinstance(data, Mapping):
        raise GraphError(f"a graph is a mapping with 'steps' or 'routes', not {type(data).__name__}", code="type")
    faults: list[Fault] = []
    kind = data.get("kind") or ("router" if "routes" in data else "root")
    if kind == "router":
        plain = _plain_step("", {**data, "kind": "router"}, faults, ("router",))
    elif kind in ("root", "flow"):
        plain = _plain_fields("", {**data, "kind": "root", "steps": None}, FlowSpec, faults)
        plain["steps"] = _plain_steps("", data.get("steps"), "steps", _STEP_KINDS, faults)
    else:
        raise GraphError(f"illegal root step '{kind}': a graph is a 'router' or a flow ('root')", code="kind")
    if faults:
        raise GraphError(faults)
    spec: GraphSpec = msgspec.convert(plain, GraphSpec)
    return spec


def task_from_dict(data: Mapping[str, Any], path: str) -> TaskSpec:
    """Read one route from plain data; raises GraphError naming every fault at once."""
    faults: list[Fault] = []
    plain = _plain_step(path, data, faults, ("task",))
    if faults:
        raise GraphError(faults)
    return msgspec.convert(plain, TaskSpec)


# What MLRun writes into a graph for its own model monitoring and drawing; it has no meaning here.
_FOREIGN: Final = frozenset(
    {
        "endpoint_type", "model_endpoint_creation_strategy", "model_endpoints_names", "model_endpoints_routes_names",
        "track_models", "shared_models", "shared_models_mechanism", "shared_max_processes", "shared_max_threads",
        "pool_factor", "skip_context", "base_step", "default_final_step",
    }
)  # fmt: skip
_KINDS: Final[dict[str, type[StepSpec]]] = {
    "task": TaskSpec,
    "error_step": ErrorStepSpec,
    "router": RouterSpec,
    "queue": QueueSpec,
}
_STEP_KINDS: Final = tuple(_KINDS)


def _plain_steps(
    path: str, steps: Any, field: str, kinds: Sequence[str], faults: list[Fault]
) -> dict[str, dict[str, Any]]:
    if not isinstance(steps or {}, Mapping):
        faults.append(Fault(path, "type", f"'{field}' maps names to steps, it is not {type(steps).__name__}"))
        return {}
    prefix = f"{path}/" if path else ""
    return {str(name): _plain_step(f"{prefix}{name}", step, faults, kinds) for name, step in (steps or {}).items()}


def _plain_step(path: str, step: Any, faults: list[Fault], kinds: Sequence[str]) -> dict[str, Any]:
    if not isinstance(step, Mapping):
        faults.append(Fault(path, "type", f"a step is a mapping, not {type(step).__name__}"))
        return {}
    kind = step.get("kind") or kinds[0]
    if kind not in kinds:
        hint = nearest(str(kind), kinds)
        faults.append(Fault(path, "kind", f"the kind '{kind}' cannot stand here, only {', '.join(kinds)}{hint}"))
        return {}
    inner = {"routes": None, "error_step": None} if kind == "router" else {}
    plain = _plain_fields(path, {**step, "kind": kind, **inner}, _KINDS[kind], faults)
    if plain.get("class_name") == "$remote":
        plain["class_name"] = REMOTE_STEP
    # MLRun writes a step that leads back into both lists; what is in ``after`` here comes before.
    if isinstance(after := plain.get("after"), list) and isinstance(back := plain.get("cycle_from"), list):
        plain["after"] = [name for name in after if name not in back]
    if kind == "router":
        plain["routes"] = _plain_steps(path, step.get("routes"), "routes", ("task",), faults)
        if (handler := step.get("error_step")) is not None:
            name = str(step.get("on_error") or "error_step")
            plain["error_step"] = _plain_step(name, handler, faults, ("error_step",))
    return plain


def _plain_fields(path: str, data: Mapping[str, Any], model: type[_Frozen], faults: list[Fault]) -> dict[str, Any]:
    known = {*model.__struct_fields__, "kind"}
    plain: dict[str, Any] = {}
    for field, value in data.items():
        if field not in known:
            if field not in _FOREIGN:
                faults.append(Fault(path, "field", f"unknown field '{field}'{nearest(str(field), known)}"))
        elif value is not None:
            plain[field] = value
    return _well_typed(path, plain, model, faults)


def _well_typed(path: str, fields: dict[str, Any], model: type[_Frozen], faults: list[Fault]) -> dict[str, Any]:
    """Return the fields whose values have the right type; each of the others is a fault."""
    good = {}
    for field, value in fields.items():
        if told := bad_choice(field, value):
            faults.append(Fault(path, field.replace("_", "-"), told))
            continue
        try:
            msgspec.convert({field: value}, model)
            good[field] = value
        except msgspec.ValidationError as error:
            told, _, place = str(error).partition(" - at `")
            inside = place.rstrip("`").removeprefix(f"$.{field}").removeprefix("$")
            faults.append(Fault(path, "type", f"{field}{inside}: {told[0].lower()}{told[1:]}"))
    return good


_CHOICES: Final[dict[str, tuple[str, ...]]] = {"engine": get_args(Engine), "run_in": get_args(RunIn)}


def bad_choice(field: str, value: Any) -> str:
    """Return what is wrong with the value of a field that has a few known values, or nothing."""
    choices = _CHOICES.get(field)
    if choices is None or value in choices:
        return ""
    return f"{field} is '{value}', it must be one of {', '.join(choices)}{nearest(str(value), choices)}"


def make(model: type[Spec], fields: dict[str, Any], path: str = "") -> Spec:
    """Return a spec of these fields; raises GraphError naming every value of a wrong type."""
    faults: list[Fault] = []
    _well_typed(path, fields, model, faults)
    if faults:
        raise GraphError(faults)
    return msgspec.convert(fields, model)
