"""From the arguments of one definition call to one step of a spec: where all sugar ends."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from servegraph.errors import GraphError, nearest
from servegraph.graph.live import Live
from servegraph.graph.naming import illegal, is_function, name_of, short, unique
from servegraph.graph.spec import (
    REMOTE_STEP,
    ROOT_ROUTER,
    AnyStep,
    ErrorStepSpec,
    QueueSpec,
    RouterSpec,
    StepSpec,
    TaskSpec,
    make,
)
from servegraph.protocols import Router

Handler: TypeAlias = str | Callable[..., Any]

_QUEUES: Final = (">>", "$queue")
_COMMON: Final = ("function", "graph_shape", "max_iterations", "full_event")
_TASK: Final = (
    *_COMMON, "input_path", "result_path",
    "run_in", "timeout", "retries", "backoff_factor", "max_in_flight",
)  # fmt: skip
_WHAT_TO_RUN: Final = ("class_name", "handler")
_OPTIONS: Final[dict[type[StepSpec], tuple[str, ...]]] = {
    TaskSpec: _TASK,
    ErrorStepSpec: _TASK,
    RouterSpec: (*_TASK, "allow_empty"),
    QueueSpec: (*_COMMON, "path", "shards", "retention_in_hours", "trigger_args"),
}
# Known to MLRun, whose model monitoring has no meaning here.
_IGNORED: Final = ("model_endpoint_creation_strategy", "creation_strategy")
# What a constructor gets from the engine or a router from its graph is never one of a step's own arguments.
_INJECTED: Final = ("name", "context", "full_event", "input_path", "result_path", "inlets", "routes")


@dataclass(slots=True)
class Call:
    """What a user wrote in one call: ``arguments`` holds step options and class arguments as they came.

    ``what`` says which place the step is for: a ``step``, a ``route`` or an ``error handler``.
    """

    class_name: Any
    name: str | None
    handler: Any
    arguments: dict[str, Any]
    what: str = "step"


@dataclass(slots=True)
class Definition:
    """What a call defines: a named step, and the live objects that belong to it."""

    name: str
    spec: AnyStep
    instance: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> TaskSpec:
        """The step, where it is known to run code."""
        assert isinstance(self.spec, TaskSpec)
        return self.spec


def define(call: Call, live: Live, taken: Collection[str] = ()) -> Definition:
    """Turn a call into a step; classes and functions get a name in ``live``.

    A name that the call gives must not be taken; a step without one gets one of its own. Raises GraphError.
    """
    for word in ("after", "before"):
        if word in call.arguments:
            told = f"use add_step({word}=...)" if call.what == "step" else f"{_a(call.what)} has none"
            raise _wrong(call, f"'{word}' cannot be given here: {told}", "keyword")
    given = call.class_name
    if isinstance(given, str) and given:
        return _by_name(call, live, taken)
    if given is None or given == "":
        return _by_handler(call, live, taken)
    if is_function(given):
        if call.handler is not None:
            raise _wrong(call, "a function takes no handler, it is one", "handler")
        return _by_handler(Call(None, call.name, given, call.arguments, call.what), live, taken)
    return _by_object(call, live, taken)


def _by_name(call: Call, live: Live, taken: Collection[str]) -> Definition:
    text: str = call.class_name
    if text in _QUEUES:
        return _queue(call, live, taken)
    if text.startswith("*"):
        return _class(call, live, taken, RouterSpec, text[1:], ROOT_ROUTER)
    if text.startswith("$"):
        if text != "$remote":
            known = ("$remote", "$queue")
            raise _wrong(call, f"'{text}' has no meaning, known are {', '.join(known)}{nearest(text, known)}", "class")
        return _class(call, live, taken, TaskSpec, REMOTE_STEP, short(REMOTE_STEP))
    return _class(call, live, taken, TaskSpec, text, short(text))


def _by_handler(call: Call, live: Live, taken: Collection[str]) -> Definition:
    if call.handler is None or call.handler == "":
        hints = (f": '{key}' is neither{hint}" for key in call.arguments if (hint := nearest(key, _WHAT_TO_RUN)))
        raise _wrong(call, f"give it a class_name or a handler{next(hints, '')}", "nothing-to-run")
    if not isinstance(call.handler, str) and not callable(call.handler):
        kind = type(call.handler).__name__
        raise _wrong(call, f"a handler is a function, its name or an expression, not {kind}", "type")
    handler = _named(call.handler, live)
    return _task(call, live, taken, TaskSpec, {"handler": handler}, short(handler))


def _by_object(call: Call, live: Live, taken: Collection[str]) -> Definition:
    given = call.class_name
    if isinstance(given, type):
        return _class(call, live, taken, _model_of(given), _named(given, live), given.__name__)
    cls = type(given)
    if cls.__module__ == "builtins":
        raise _wrong(call, f"a class is needed, its name or an instance of it, not {cls.__name__}", "type")
    _set_attributes(call, given)
    own = getattr(given, "name", None)
    default = own if isinstance(own, str) and own and not illegal(own) else cls.__name__
    if getattr(given, "full_event", None) is True:
        call.arguments.setdefault("full_event", True)
    for path in ("input_path", "result_path"):
        if isinstance(own_path := getattr(given, path, None), str):
            call.arguments.setdefault(path, own_path)
    made = _class(call, live, taken, _model_of(cls), _named(cls, live), default)
    arguments = {**_read_back(given), **made.task.class_args}
    return Definition(made.name, msgspec.structs.replace(made.task, class_args=arguments), given, routes=made.routes)


def _model_of(cls: type) -> type[TaskSpec]:
    return RouterSpec if issubclass(cls, Router) else TaskSpec


def _class(
    call: Call, live: Live, taken: Collection[str], model: type[TaskSpec], class_name: str, default: str
) -> Definition:
    fields = {"class_name": class_name}
    if call.handler is not None and call.handler != "":
        fields["handler"] = _method_name(call)
    return _task(call, live, taken, model, fields, default)


def _method_name(call: Call) -> str:
    handler = call.handler
    if isinstance(handler, str):
        return handler
    name = getattr(handler, "__name__", "<lambda>")
    if name == "<lambda>":
        raise _wrong(call, "the handler of a class is one of its methods, or the name of one", "handler")
    return str(name)


def _task(
    call: Call, live: Live, taken: Collection[str], model: type[TaskSpec], fields: dict[str, Any], default: str
) -> Definition:
    if call.what != "step" and model is RouterSpec:
        raise _wrong(call, f"a router cannot be {_a(call.what)}", "kind")
    if call.what == "error handler":
        model = ErrorStepSpec
    name = _step_name(call, default, taken)
    options, arguments = _split(call.arguments, model)
    routes = arguments.pop("routes", None) if model is RouterSpec else None
    if not isinstance(routes or {}, Mapping):
        raise _wrong(call, f"routes map names to steps, they are not {type(routes).__name__}", "type")
    plain, odd = _sorted_out(arguments, live, named=lambda key: key.startswith("_"))
    spec = make(model, {**fields, **options, "class_args": plain}, name)
    return Definition(name, spec, arguments=odd, routes=routes or {})


def _queue(call: Call, live: Live, taken: Collection[str]) -> Definition:
    if call.what != "step":
        raise _wrong(call, f"a queue cannot be {_a(call.what)}", "kind")
    if call.name is None:
        raise _wrong(call, "a queue needs a name", "name")
    if call.handler is not None:
        raise _wrong(call, "a queue runs no handler; give it to the step after the queue", "handler")
    if "path" not in call.arguments:
        told = "a queue needs a path: the address of a stream, or path=None for a queue in memory"
        raise _wrong(call, told, "queue-path")
    name = _step_name(call, "", taken)
    fields, options = _split(call.arguments, QueueSpec)
    plain, odd = _sorted_out(options, live, named=lambda key: True)
    return Definition(name, make(QueueSpec, {**fields, "options": plain}, name), arguments=odd)


def _step_name(call: Call, default: str, taken: Collection[str]) -> str:
    if call.name is None:
        return unique(default, taken)
    if not isinstance(call.name, str):
        raise _wrong(call, f"a name is text, not {type(call.name).__name__}", "type")
    if reason := illegal(call.name):
        raise GraphError(reason, call.name, "name")
    if call.name in taken:
        told = "there is a step of this name already; choose another, or take that one away with del graph[name]"
        raise GraphError(told, call.name, "duplicate")
    return call.name


def _split(arguments: Mapping[str, Any], model: type[StepSpec]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the options of a step, without those that are not given, from the arguments of its class."""
    known = _OPTIONS[model]
    options = {
        "shape" if key == "graph_shape" else key: value
        for key, value in arguments.items()
        if key in known and value is not None
    }
    others = {key: value for key, value in arguments.items() if key not in known and key not in _IGNORED}
    return options, others


def _sorted_out(
    arguments: Mapping[str, Any], live: Live, named: Callable[[str], bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part arguments into plain data (functions under ``named`` keys by name) and what a spec cannot hold."""
    plain: dict[str, Any] = {}
    odd: dict[str, Any] = {}
    for key, value in arguments.items():
        if named(key) and callable(value):
            plain[key] = _named(value, live)
            continue
        try:
            plain[key] = as_plain(value)
        except (TypeError, RecursionError):
            odd[key] = value
    return plain, odd


def as_plain(value: Any) -> Any:
    """Return a copy of a value as JSON and YAML would give it back; raises TypeError where they could not."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if (kind is int and -(2**63) <= value < 2**64) or (kind is float and math.isfinite(value)):
        return value
    if kind is list or kind is tuple:
        return [as_plain(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: as_plain(item) for key, item in value.items()}
    raise TypeError(f"{kind.__name__} is no plain data")


def _set_attributes(call: Call, instance: Any) -> None:
    """Give an instance the class arguments of the call, where it has attributes of their names."""
    _, arguments = _split(call.arguments, TaskSpec)
    for key, value in arguments.items():
        if not hasattr(instance, key):
            told = f"this {type(instance).__name__} is made already and has no attribute '{key}' to set"
            raise _wrong(call, f"{told}{nearest(key, vars(instance))}", "keyword")
        setattr(instance, key, value)


def _read_back(instance: Any) -> dict[str, Any]:
    """Return the constructor's arguments as far as attributes of their names hold plain data of another value."""
    found: dict[str, Any] = {}
    for name, value in _attributes(instance):
        try:
            found[name] = as_plain(value)
        except (TypeError, RecursionError):
            continue
    return found


def _attributes(instance: Any) -> Iterator[tuple[str, Any]]:
    try:
        parameters = inspect.signature(type(instance)).parameters.values()
    except (TypeError, ValueError):  # some builtin classes have none
        return
    for each in parameters:
        value = getattr(instance, each.name, each.default)
        if each.kind is each.VAR_KEYWORD:
            kept = getattr(instance, f"_{each.name}", {}) if value is each.default else value
            yield from kept.items() if isinstance(kept, dict) else ()
        elif each.kind is not each.VAR_POSITIONAL and each.name not in _INJECTED and value is not each.default:
            yield each.name, value


def _named(thing: Handler | type, live: Live) -> str:
    return thing if isinstance(thing, str) else live.name(name_of(thing), thing)


def _wrong(call: Call, message: str, code: str) -> GraphError:
    step = call.name if isinstance(call.name, str) else ""
    return GraphError(message, step, code)


def _a(what: str) -> str:
    return f"an {what}" if what.startswith("e") else f"a {what}"
