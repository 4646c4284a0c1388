"""From one step of a spec to something that can be called: found, checked and then built."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.errors import Fault, GraphError, nearest
from servegraph.graph.spec import RouterSpec, TaskSpec
from servegraph.protocols import Router

DEFAULT_ROUTER: Final = "mlrun.serving.ModelRouter"

# What a constructor gets when it names it, unless the graph's author gave it a value.
_INJECTED: Final = ("name", "context", "input_path", "result_path", "full_event", "inlets")
# Options of any step that belong to the constructor when it names them, otherwise to the engine.
OPTIONS: Final = ("timeout", "retries", "backoff_factor", "max_in_flight")
# What makes a class a step, the first that it has: how it is called, or what becomes of events that come to it.
_METHODS: Final = ("do_event", "do", "join", "take", "select_outlets", "__call__")
_STEP_OPTIONS: Final = (*_INJECTED, *OPTIONS, "handler", "function", "run_in", "class_name")


@dataclass(slots=True)
class Found:
    """What a step's names stand for: a class, a live instance or a function, and the keywords it is called with."""

    path: str
    spec: TaskSpec
    cls: type | None = None
    instance: Any = None
    function: Callable[..., Any] | None = None
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Bound:
    """A step that can be called: ``call`` takes the body, or the event when ``whole``.

    ``owner`` is the instance whose calls must not overlap (``None`` for functions); ``trusted`` marks steps of
    servegraph that are known to be quick; ``kept`` names the step options that the constructor took.
    """

    owner: Any
    call: Callable[..., Any]
    whole: bool
    is_async: bool
    trusted: bool
    kept: frozenset[str]
    select_outlets: Callable[..., Any] | None = None


def find(path: str, spec: TaskSpec, names: Names, faults: list[Fault]) -> Found | None:
    """Find what a step names and check its keywords; what is wrong is added to the faults."""
    found = Found(path, spec, instance=names.live.instances.get(path))
    before = len(faults)
    if found.instance is not None:
        _check_method(found, type(found.instance), faults)
    elif class_name := spec.class_name or (DEFAULT_ROUTER if isinstance(spec, RouterSpec) else ""):
        _find_class(found, class_name, names, faults)
    elif spec.handler:
        _find_function(found, names, faults)
    return found if len(faults) == before else None


def build(found: Found, context: Context) -> Bound:
    """Construct what was found; raises GraphError that carries the constructor's own exception as its cause."""
    spec = found.spec
    if found.function is not None:
        return _bound_function(found, found.function, context)
    kept: frozenset[str] = frozenset()
    instance = found.instance
    if found.cls is not None:
        keywords, kept = _injected(found, found.cls, context)
        try:
            instance = found.cls(**keywords)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise GraphError(f"{found.cls.__name__} could not be built: {told}", found.path, "init") from error
    else:
        _introduce(found, context)
    call, whole = _method(instance, spec)
    return Bound(
        owner=instance,
        call=call,
        whole=whole,
        is_async=is_async(call),
        trusted=bool(vars(type(instance)).get("QUICK", False)),
        kept=kept,
        select_outlets=getattr(instance, "select_outlets", None),
    )


def is_async(function: Any) -> bool:
    """Return whether calling this gives something to await: coroutine functions, also wrapped or as ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _find_class(found: Found, class_name: str, names: Names, faults: list[Fault]) -> None:
    try:
        cls = names.find(class_name)
    except LookupError as error:
        faults.append(Fault(found.path, "class", f"class {error.args[0]}"))
        return
    if not isinstance(cls, type):
        if callable(cls):  # a factory function, such as storey.Flatten
            found.cls = cls
            found.keywords = _keywords(found, cls, names, faults)
        else:
            faults.append(Fault(found.path, "class", f"'{class_name}' is {type(cls).__name__}, not a class"))
        return
    found.cls = cls
    found.keywords = _keywords(found, cls, names, faults)
    _check_method(found, cls, faults)


def _find_function(found: Found, names: Names, faults: list[Fault]) -> None:
    handler = found.spec.handler
    try:
        function = names.callable(handler)
    except LookupError as error:
        faults.append(Fault(found.path, "handler", f"handler {error.args[0]}"))
        return
    found.function = function
    found.keywords = _keywords(found, function, names, faults, positional=1)


def _keywords(
    found: Found, target: Callable[..., Any], names: Names, faults: list[Fault], positional: int = 0
) -> dict[str, Any]:
    """Resolve the class arguments and hold them against the signature of what they are for."""
    signature = _signature(target)
    parameters = dict(signature.parameters) if signature is not None else {}
    open_ended = signature is None or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    keywords: dict[str, Any] = {}
    given = {**found.spec.class_args, **names.live.arguments.get(found.path, {})}
    for key, value in given.items():
        if key in parameters or (open_ended and not key.startswith("_")):
            keywords[key] = value
        elif key.startswith("_") and (key[1:] in parameters or open_ended):
            try:
                keywords[key[1:]] = names.callable(value) if isinstance(value, str) else value
            except LookupError as error:
                faults.append(Fault(found.path, "handler", f"{key}: {error.args[0]}"))
                return keywords
        else:
            known = [name for name in parameters if name != "self"]
            hint = nearest(key, [*known, *_STEP_OPTIONS])
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            faults.append(Fault(found.path, "keyword", f"{_name(target)} has no argument '{key}': {takes}{hint}"))
            return keywords
    if signature is not None:
        _check_call(found, target, signature, keywords, positional, faults)
    return keywords


def _check_call(
    found: Found,
    target: Callable[..., Any],
    signature: inspect.Signature,
    keywords: Mapping[str, Any],
    positional: int,
    faults: list[Fault],
) -> None:
    injected = {key: None for key in (*_INJECTED, *OPTIONS) if key in signature.parameters and key not in keywords}
    if positional:
        injected = {key: None for key in injected if key == "context"}
    try:
        signature.bind(*[None] * positional, **keywords, **injected)
    except TypeError as error:
        faults.append(Fault(found.path, "keyword", f"{_name(target)}{_readable(signature)}: {error}"))


def _readable(signature: inspect.Signature) -> str:
    return str(signature) if len(str(signature)) < 100 else "(...)"


def _injected(found: Found, cls: Callable[..., Any], context: Context) -> tuple[dict[str, Any], frozenset[str]]:
    spec = found.spec
    signature = _signature(cls)
    parameters = signature.parameters if signature is not None else {}
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    values: dict[str, Any] = {
        "name": found.path.rpartition("/")[2],
        "context": context,
        "input_path": spec.input_path or None,
        "result_path": spec.result_path or None,
        "full_event": spec.full_event,
        "inlets": list(spec.after) or None,
    }
    keywords = dict(found.keywords)
    kept = set()
    for key, value in values.items():
        if key in parameters or (open_ended and value is not None and key != "inlets"):
            keywords.setdefault(key, value)
            kept.add(key)
    for key in OPTIONS:
        value = getattr(spec, key)
        if key in parameters and value is not None:
            keywords.setdefault(key, value)
            kept.add(key)
    return keywords, frozenset(kept)


def _check_method(found: Found, cls: type, faults: list[Fault]) -> None:
    if isinstance(found.spec, RouterSpec):
        missing = [each for each in ("attach", "select", "merge") if not hasattr(cls, each)]
        if missing:
            told = f"{cls.__name__} is not a router: it has no {', '.join(missing)} (see servegraph.protocols.Router)"
            faults.append(Fault(found.path, "class", told))
        return
    handler = found.spec.handler
    methods = [name for name in dir(cls) if not name.startswith("_")]
    if handler and not hasattr(cls, handler):
        hint = nearest(handler, methods)
        faults.append(Fault(found.path, "handler", f"{cls.__name__} has no method '{handler}'{hint}"))
    elif not handler and not any(_offers(cls, each) for each in _METHODS):
        told = f"{cls.__name__} has neither do(body) nor do_event(event); name the method to run with handler="
        faults.append(Fault(found.path, "handler", told))
        return
    whole = found.spec.full_event or (not handler and hasattr(cls, "do_event"))
    signature = _signature(cls)
    takes = signature is not None and any(
        each.kind is each.VAR_KEYWORD or name in ("input_path", "result_path")
        for name, each in signature.parameters.items()
    )
    if whole and not takes and (found.spec.input_path or found.spec.result_path):
        told = f"{cls.__name__} gets the whole event, so input_path and result_path have nothing to work on"
        faults.append(Fault(found.path, "path", told))


def _offers(cls: type, method: str) -> bool:
    # Asking the class itself would find the method by which classes are called.
    return any(method in vars(each) for each in cls.__mro__)


def _introduce(found: Found, context: Context) -> None:
    """Tell a live instance what the graph says of it, as a constructor would have been told."""
    spec = found.spec
    told = {
        "name": found.path.rpartition("/")[2],
        "context": context,
        "input_path": spec.input_path or None,
        "result_path": spec.result_path or None,
        "full_event": spec.full_event,
        "inlets": list(spec.after),
    }
    for key, value in told.items():
        if value is not None and getattr(found.instance, key, value) in (None, "", ()):
            setattr(found.instance, key, value)


def _method(instance: Any, spec: TaskSpec) -> tuple[Callable[..., Any], bool]:
    if spec.handler:
        return getattr(instance, spec.handler), bool(spec.full_event)
    if isinstance(spec, RouterSpec):
        return instance.select, True
    if hasattr(instance, "do_event"):
        return instance.do_event, True
    if hasattr(instance, "do"):
        return instance.do, bool(spec.full_event)
    if callable(instance):
        return instance, bool(spec.full_event)
    return _unchanged, bool(spec.full_event)  # it joins, holds or chooses, and leaves the body as it is


def _unchanged(body: Any) -> Any:
    return body


def _bound_function(found: Found, function: Callable[..., Any], context: Context) -> Bound:
    keywords = dict(found.keywords)
    signature = _signature(function)
    if signature is not None and "context" in signature.parameters and "context" not in keywords:
        keywords["context"] = context
    owner = getattr(function, "__self__", None)
    if isinstance(owner, ModuleType | type):
        owner = None
    return Bound(
        owner=owner,
        call=functools.partial(function, **keywords) if keywords else function,
        whole=bool(found.spec.full_event),
        is_async=is_async(function),
        trusted=False,
        kept=frozenset(),
    )


def _signature(target: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):  # some builtins have none
        return None


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__name__", type(target).__name__)


def is_router(instance: Any) -> bool:
    """Return whether an instance offers what the engine asks of a router."""
    return isinstance(instance, Router)
