"""Every request that fails the same way at every door: the graph, what is sent, and what has to happen before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from tests.failures import steps
from tests.failures.doors import Answer, Door, Doorway, Request

import servegraph
from servegraph.function import ServingFunction

Make = Callable[[str], ServingFunction]
ENGINES = ("async", "sync")


@dataclass(frozen=True)
class Case:
    """One failure: what it is called on the page, the function it happens in, and the request."""

    name: str
    make: Make
    request: Request = field(default_factory=Request)
    settings: dict[str, Any] = field(default_factory=dict)
    given: Callable[[Door], AbstractContextManager[Any]] = nullcontext


def provoke(case: Case, doorway: Doorway, engine: str) -> Answer:
    """Return what the request of a case is answered."""
    with doorway(case.make(engine), **case.settings) as door, case.given(door):
        return door.ask(case.request)


def _flow(*arguments: dict[str, Any], **topology: Any) -> Make:
    """Return what makes a chain of steps whose last one responds."""

    def make(engine: str) -> ServingFunction:
        function = servegraph.new_function("flow")
        last = function.set_topology("flow", engine=engine, **topology)
        for each in arguments:
            last = last.to(**each)
        last.respond()
        return function

    return make


def _step(handler: Callable[..., Any], **options: Any) -> Make:
    return _flow({"name": "price", "handler": handler, **options})


def _branches(engine: str) -> ServingFunction:
    function = servegraph.new_function("branches")
    graph = function.set_topology("flow", engine=engine)
    start = graph.to(name="price", handler=steps.with_lock)
    start.to(name="apple", handler=steps.same).respond()
    start.to(name="pear", handler=steps.same)
    return function


def _choice(engine: str) -> ServingFunction:
    function = servegraph.new_function("choice")
    start = function.set_topology("flow", engine=engine).to(steps.Chooser, "price")
    start.to(name="apple", handler=steps.same).respond()
    start.to(name="pear", handler=steps.same)
    return function


def _handler_fails(engine: str) -> ServingFunction:
    function = servegraph.new_function("handled")
    step = function.set_topology("flow", engine=engine).to(name="price", handler=steps.buggy)
    step.error_handler("catcher", handler=steps.without_key).respond()
    return function


def _models(load_mode: str = "sync", *, model: Any = steps.Doubler, router: Any = None, **given: Any) -> Make:
    def make(engine: str) -> ServingFunction:
        function = servegraph.new_function("models")
        function.set_topology("router", **(router or {}))
        function.spec.load_mode = load_mode
        function.add_model("m1", class_name=model, model_path=".", **given)
        return function

    return make


def _held() -> Case:
    entered, go = threading.Event(), threading.Event()

    @contextmanager
    def busy(door: Door) -> Iterator[None]:
        entered.clear()
        go.clear()
        first = threading.Thread(target=door.ask, args=[Request()])
        first.start()
        try:
            assert entered.wait(30)
            yield
        finally:
            go.set()
            first.join()

    make = _flow({"class_name": steps.Held, "name": "price", "entered": entered, "go": go})
    return Case("the server is full", make, settings={"max_in_flight": 1, "max_waiting": 0}, given=busy)


def _loading(name: str, request: Request, *, fails: bool = False) -> Case:
    go = threading.Event()

    @contextmanager
    def load(door: Door) -> Iterator[None]:
        if fails:
            go.set()
            for thread in threading.enumerate():
                if thread.name == "load m1":
                    thread.join()
        try:
            yield
        finally:
            go.set()

    def make(engine: str) -> ServingFunction:
        go.clear()
        return _models("async", model=steps.Loading, go=go, fails=fails)(engine)

    return Case(name, make, request, given=load)


@contextmanager
def _removed(door: Door) -> Iterator[None]:
    door.server.control().add("m2", class_name=steps.Doubler)
    assert door.ask(INFER_M2).status == 200
    door.server.control().remove("m2")
    yield


INFER = Request("/v2/models/m1/infer", {"inputs": [1]})
INFER_M2 = Request("/v2/models/m2/infer", {"inputs": [1]})


def _infer(body: Any, **more: Any) -> Request:
    return Request("/v2/models/m1/infer", body, **more)


def _get(path: str, method: str = "GET") -> Request:
    return Request(path, method=method)


ROUTER_CASES = [
    Case("unknown model", _models(), Request("/v2/models/m2/infer", {"inputs": [1]})),
    Case("unknown model, named in the body", _models(), Request("/", {"model": "m2", "inputs": [1]})),
    Case("a model's name that is none", _models(), Request("/", {"model": 5, "inputs": [1]})),
    Case("unknown version", _models(), Request("/v2/models/m1/versions/7/infer", {"inputs": [1]})),
    Case("a model that was removed while serving", _models(), INFER_M2, given=_removed),
    Case("unknown operation", _models(), Request("/v2/models/m1/infr", {"inputs": [1]})),
    Case("unknown operation, named in the body", _models(), Request("/v2/models/m1", {"operation": "infr"})),
    Case("a path that the router does not have", _models(), Request("/v3/modles/m1/infer", {"inputs": [1]})),
    Case("inference asked with GET", _models(), _get("/v2/models/m1/infer")),
    Case("a list of models asked with DELETE", _models(), _get("/v2/models/", "DELETE")),
    Case("health asked with POST", _models(), Request("/v2/health/ready")),
    Case("broken JSON", _models(), _infer(b'{"inputs": [1,}')),
    Case("no body", _models(), _infer(b"")),
    Case("a body that is no object", _models(), _infer([1, 2])),
    Case("no inputs", _models(), _infer({"rows": [1]})),
    Case("inputs that are no list", _models(), _infer({"inputs": "1"})),
    Case("an id that is no text", _models(), _infer({"inputs": [1], "id": ["a"]})),
    Case("`infer_dict` without a schema", _models(), Request("/v2/models/m1/infer_dict", {"inputs": [{"a": 1}]})),
    Case(
        "`infer_dict` with a column missing",
        _models(inputs=["a", "b"]),
        Request("/v2/models/m1/infer_dict", {"inputs": [{"a": 1}]}),
    ),
    Case("`explain` is not offered", _models(), Request("/v2/models/m1/explain", {"inputs": [1]})),
    Case("`predict` raises", _models(model=steps.Crashing), INFER),
    Case("`data_url` is not switched on", _models(), _infer({"data_url": "http://localhost/x"})),
    Case(
        "`data_url` that is no web address",
        _models(router={"allow_data_url": True}),
        _infer({"data_url": "file:///etc/hosts"}),
    ),
    Case(
        "`data_url` of a host that is not allowed",
        _models(router={"allow_data_url": ["images.example.com"]}),
        _infer({"data_url": "http://localhost/x"}),
    ),
    _loading("a model that is still loading", INFER),
    _loading("its readiness", _get("/v2/models/m1/ready")),
    _loading("a model that failed to load", INFER, fails=True),
    _loading("its readiness", _get("/v2/models/m1/ready"), fails=True),
    _loading("the router's readiness then", _get("/v2/health/ready"), fails=True),
]

FLOW_CASES = [
    Case("a step raises", _step(steps.buggy)),
    Case("a step raises an exception without a message", _step(steps.silent)),
    Case("a key is missing from the body (`KeyError`)", _step(steps.without_key), Request(body={"cost": 1})),
    Case("a step raises `BadEvent`", _step(steps.particular)),
    Case("an exception with a `status_code` from 400 to 599", _step(steps.with_status)),
    Case("an exception with any other `status_code`", _step(steps.with_odd_status)),
    Case("a step calls `sys.exit`", _step(steps.leaving)),
    Case("a step's own `timeout` is over", _step(steps.slow, timeout=0.05)),
    Case("`request_timeout` is over", _step(steps.slow), settings={"request_timeout": 0.1}),
    _held(),
    Case("the body is not what a step expects", _step(steps.number), Request(body=b"ten", content_type="text/plain")),
    Case("broken JSON", _step(steps.same), Request(body=b'{"price": ')),
    Case("text in an unknown encoding", _step(steps.same), Request(body=b"a", content_type="text/plain; charset=x-1")),
    Case("text that is not in its encoding", _step(steps.same), Request(body=b"\xff", content_type="text/plain")),
    Case("`input_path` leads through what is no dict", _step(steps.same, input_path="a.b"), Request(body={"a": [1]})),
    Case("`result_path` leads through what is no dict", _step(steps.same, result_path="a.b"), Request(body={"a": 1})),
    Case("a step with `full_event` returns no event", _step(steps.no_event, full_event=True)),
    Case("`select_outlets` names a step that does not follow", _choice),
    Case("a body that cannot be copied comes to two branches", _branches),
    Case("an error handler fails", _handler_fails),
    Case(
        "the event is filtered out (no failure: an empty answer)",
        _flow(
            {"class_name": "storey.Filter", "name": "some", "_fn": "(False)"}, {"name": "price", "handler": steps.same}
        ),
    ),
]

VARIANTS = [(case, "") for case in ROUTER_CASES] + [(case, engine) for case in FLOW_CASES for engine in ENGINES]
