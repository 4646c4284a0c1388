"""The model router: finds the model that a request's path (or body) names, and tells what models there are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Mapping
from io import BytesIO
from typing import Any, ClassVar, Final

from servegraph.bodies import get_path, set_path, split_path
from servegraph.context import Context
from servegraph.errors import BadEvent, MethodNotAllowed, NotFound, StepError, nearest
from servegraph.events import Event, Response
from servegraph.models.pipeline import drive
from servegraph.models.requests import READS, WRITES, split_key
from servegraph.routers.data_urls import check_data_url, read_data_url
from servegraph.routers.paths import Targets, newest
from servegraph.wire.json import loads

_HOOKS: Final = ("parse_event", "preprocess", "postprocess")
# What an event carries from select to merge.
_PATH: Final = "path_before_routing"
_BODY: Final = "body_before_routing"


class ModelRouter:
    """Routes ``/v2/models/<name>[/versions/<version>][/<operation>]`` to the route of that name.

    A route sees as ``event.path`` the bare operation, ``""`` where there is none. Override ``preprocess``,
    ``parse_event``, ``postprocess`` or ``get_metadata``; each of them but the last may be ``async``.
    ``allow_data_url`` lets requests name their input by a web address: ``True``, or the hosts that are allowed.
    """

    QUICK: ClassVar[bool] = True
    _overridden: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note which hooks a class has of its own, so that the others cost nothing."""
        super().__init_subclass__(**kwargs)
        cls._overridden = frozenset(each for each in _HOOKS if getattr(cls, each) is not vars(ModelRouter)[each])

    def __init__(
        self,
        context: Context | None = None,
        name: str | None = None,
        routes: Mapping[str, object] | None = None,
        protocol: str | None = None,
        url_prefix: str | None = None,
        health_prefix: str | None = None,
        input_path: str | None = None,
        result_path: str | None = None,
        *,
        allow_data_url: bool | Collection[str] = False,
        max_data_bytes: int = 16 * 1024 * 1024,
        **kwargs: Any,
    ) -> None:
        """Describe the router; the prefixes default to ``/v2/models`` and ``/v2/health``."""
        self.context = context
        self.name = name or type(self).__name__
        self.routes: Mapping[str, object] = routes or {}
        self.protocol = protocol or "v2"
        self.url_prefix = url_prefix or f"/{self.protocol}/models"
        self.health_prefix = health_prefix or f"/{self.protocol}/health"
        self.input_path = input_path
        self.result_path = result_path
        self.allow_data_url = [allow_data_url] if isinstance(allow_data_url, str) else allow_data_url
        self.max_data_bytes = max_data_bytes
        self._kwargs = kwargs
        self._targets = Targets(self.url_prefix, self.health_prefix)
        self._input_keys = split_path(input_path)
        self._result_keys = split_path(result_path)
        self._simple = not (self._overridden or input_path or result_path)

    # What a router may override.

    def preprocess(self, event: Event) -> Any:
        """Return the event as it is to be parsed and routed."""
        return event

    def parse_event(self, event: Event) -> Any:
        """Return the event with its body parsed, where that is JSON text."""
        body = event.body
        if isinstance(body, str | bytes) and body and not event.content_type.startswith("image/"):
            try:
                event.body = loads(body)
            except BadEvent:  # not every route needs JSON; those that do say so
                return event
        return event

    def postprocess(self, event: Event) -> Any:
        """Return the answering event as the caller gets it."""
        return event

    def get_metadata(self) -> dict[str, Any]:
        """Return what the router is."""
        return {"name": type(self).__name__, "version": self.protocol, "extensions": []}

    def get_param(self, key: str, default: Any = None) -> Any:
        """Return a parameter of the router, else of the function."""
        if key in self._kwargs or self.context is None:
            return self._kwargs.get(key, default)
        return self.context.get_param(key, default)

    # What the engine calls.

    def attach(self, routes: Mapping[str, object]) -> None:
        """Take a live view of the routes."""
        self.routes = routes

    def select(self, event: Event) -> Any:
        """Return the name of the route that answers, or the event where the router has answered it."""
        body = event.body
        if self._simple and (body is None or (type(body) is dict and "data_url" not in body)):
            return self._route(event)
        return drive(self._selecting(event))

    def merge(self, event: Event, answers: Mapping[str, Any]) -> Any:
        """Return the answering event: that of the one route, or of several the bodies by name."""
        if len(answers) == 1:
            (answer,) = answers.values()
        else:
            answer = _together(event, answers)
        path = event.__dict__.pop(_PATH, None)
        if path is not None:
            answer.path = path
        return answer if self._simple else drive(self._merging(event, answer))

    def _selecting(self, event: Event) -> Generator[Any, Any, Any]:
        if self._input_keys or self._result_keys:
            event.__dict__[_BODY] = event.body
            event.body = get_path(event.body, self._input_keys)
        prepared = yield self.preprocess(event)
        _take_over(event, prepared, "preprocess", self)
        prepared = yield self.parse_event(event)
        _take_over(event, prepared, "parse_event", self)
        if type(event.body) is dict and "data_url" in event.body:
            url = check_data_url(event.body["data_url"], self.allow_data_url)
            data = yield asyncio.to_thread(read_data_url, url, self.max_data_bytes)
            event.body = {"instances" if self.protocol == "v1" else "inputs": [BytesIO(data)]}
        return self._route(event)

    def _merging(self, event: Event, answer: Event) -> Generator[Any, Any, Event]:
        prepared = yield self.postprocess(answer)
        _take_over(answer, prepared, "postprocess", self)
        whole = event.__dict__.pop(_BODY, None)
        if self._result_keys and not isinstance(answer.body, Response):
            whole = dict(whole) if isinstance(whole, dict) else whole
            answer.body = set_path(whole, self._result_keys, answer.body)
        return answer

    # Finding the route.

    def _route(self, event: Event) -> Any:
        kind, key, operation = self._targets[event.path]
        if kind != "model":
            if kind not in ("root", "models") or event.method in READS:
                return self._tell(event, kind)
            if event.method not in WRITES:
                raise MethodNotAllowed(f"'{event.path}' takes GET and POST, not {event.method}")
            key = self._key_in_body(event)
        if key not in self.routes:
            key = self._find(key)
        if event.method in READS and operation in ("", "ready"):
            return self._about(event, key, operation)
        event.__dict__[_PATH] = event.path
        event.path = operation
        return key

    def _key_in_body(self, event: Event) -> str:
        key = event.body.get("model") if isinstance(event.body, dict) else None
        if key is None:
            key = next(iter(self.routes), None)
            if key is None:
                raise NotFound("Request for unknown model: this router has no models")
        if not isinstance(key, str):
            raise BadEvent(f'Expected "model" to be a name, not {type(key).__name__}')
        return key

    def _find(self, key: str) -> str:
        """Return the key of the newest version of a model; raises NotFound where there is no such model."""
        keys = tuple(self.routes)
        found = newest(key, keys)
        if found is None:
            listed = ", ".join(keys[:20]) + (f" and {len(keys) - 20} more" if len(keys) > 20 else "")
            hint = nearest(key, keys) or ";"
            raise NotFound(f"Request for unknown model: '{key}'{hint} available models: {listed or 'none'}")
        return found

    # Telling about models and the server.

    def _tell(self, event: Event, kind: str) -> Any:
        if kind == "unknown":
            raise NotFound(f"nothing is at '{event.path}': the path must start with {self.url_prefix}")
        if event.method not in READS:
            raise MethodNotAllowed(f"'{event.path}' takes GET, not {event.method}")
        if kind == "models":
            return self._answer(event, {"models": list(self.routes)})
        if kind == "live":
            return self._answer(event, {"live": True})
        return self._answer(event, self._readiness() if kind == "ready" else self.get_metadata())

    def _about(self, event: Event, key: str, operation: str) -> Any:
        """Tell about a route what it cannot tell itself: all its versions, or anything where it sees bodies only."""
        route = self.routes[key]
        describe = getattr(route, "get_metadata", None)
        if hasattr(route, "do_event") and (operation or describe is None):
            event.__dict__[_PATH] = event.path
            event.path = operation
            return key
        name, _ = split_key(key)
        if operation:
            return self._answer(event, {"name": name, "ready": True})
        metadata = describe() if describe is not None else {"name": name, "platform": "", "inputs": [], "outputs": []}
        versions = [split_key(each)[1] for each in tuple(self.routes) if each.startswith(f"{name}:")]
        return self._answer(event, {**metadata, "versions": versions})

    def _readiness(self) -> Any:
        waiting = {name: route for name, route in self.routes.items() if not getattr(route, "ready", True)}
        if not waiting:
            return {"ready": True, "live": True}
        told = ", ".join(f"'{name}' ({getattr(route, 'error', '') or 'loading'})" for name, route in waiting.items())
        return Response({"ready": False, "live": True, "error": f"models that are not ready: {told}"}, 503)

    def _answer(self, event: Event, body: Any) -> Event:
        event.__dict__.pop(_BODY, None)
        event.body = body
        event.terminated = True
        return event


def _take_over(event: Event, prepared: Any, hook: str, router: ModelRouter) -> None:
    """Let the event be what a hook made of it; the engine goes on with the event it has."""
    if prepared is event:
        return
    if not isinstance(prepared, Event):
        told = type(prepared).__name__
        raise StepError(f"{hook} of router {type(router).__name__} must return the event, not {told}")
    for name in ("id", "body", "path", "method", "content_type", "key"):
        setattr(event, name, getattr(prepared, name))
    event.__dict__.update(prepared.__dict__)


def _together(event: Event, answers: Mapping[str, Any]) -> Event:
    for answer in answers.values():
        if isinstance(answer, BaseException):
            raise answer
    event.body = {name: answer.body for name, answer in answers.items()}
    return event
