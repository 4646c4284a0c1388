"""The model server: load a model, then answer ``{"inputs": [...]}`` with ``{"outputs": [...]}``."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar, Final

from servegraph.artifacts import Fetched, fetch
from servegraph.bodies import get_path, set_path, split_path
from servegraph.context import Context, Logger
from servegraph.errors import (
    BadEvent,
    GraphError,
    MethodNotAllowed,
    NotFound,
    NotReady,
    StepError,
    Unsupported,
    nearest,
)
from servegraph.events import Event, Response
from servegraph.models.pipeline import drive
from servegraph.models.requests import (
    READS,
    WRITES,
    Schema,
    check_request,
    operation_in,
    read_request,
    read_schema,
    rows_from_dicts,
    split_key,
    timestamp,
)

_PREDICT: Final = frozenset({"infer", "predict"})
_PREDICT_DICT: Final = frozenset({"infer_dict", "predict_dict"})
_BUILT_IN: Final = _PREDICT | _PREDICT_DICT | {"explain", "ready"}
_HOOKS: Final = ("preprocess", "validate", "postprocess")


class V2ModelServer:
    """A step or route that serves one model: define ``load()`` and ``predict(request)``, either of them plainly.

    ``predict``, ``explain``, the hooks and the operations ``op_<name>(event)`` may be ``async``. Further arguments are
    the model's parameters, see ``get_param``. ``inputs`` and ``outputs`` describe what the model takes and gives
    as a list of ``{"name", "datatype", "shape"}``.
    """

    platform: ClassVar[str] = "python"
    _overridden: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note which hooks a class has of its own, so that the others cost nothing."""
        super().__init_subclass__(**kwargs)
        cls._overridden = frozenset(each for each in _HOOKS if getattr(cls, each) is not vars(V2ModelServer)[each])

    def __init__(
        self,
        context: Context | None = None,
        name: str | None = None,
        model_path: str | None = None,
        model: Any = None,
        protocol: str | None = None,
        input_path: str | None = None,
        result_path: str | None = None,
        *,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Describe the model; nothing is loaded before ``post_init``."""
        self.context = context
        self.name = name or type(self).__name__
        self.model_path = model_path
        self.model = model
        self.protocol = protocol or "v2"
        self.input_schema: Schema = read_schema(inputs, "inputs")
        self.output_schema: Schema = read_schema(outputs, "outputs")
        self.model_spec: Any = None
        self.model_endpoint_uid = ""
        self.metrics: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        self.ready = False
        self.error = ""
        self._kwargs = kwargs
        self._key = "instances" if self.protocol == "v1" else "inputs"
        self._input_path = split_path(input_path)
        self._result_path = split_path(result_path)
        self._fetched: list[Fetched] = []

    @property
    def name(self) -> str:
        """The model's key: its name, with ``:version`` where it has one."""
        return self._name

    @name.setter
    def name(self, key: str) -> None:
        self._name = key
        self._model_name, self._version = split_key(key)

    # What a model defines.

    def load(self) -> None:
        """Load the model, from ``self.get_model(suffix)`` or elsewhere; called once, before the first request."""
        if self.model is None and self.model_path:
            raise GraphError(f"class {type(self).__name__} has no load(), so '{self.model_path}' is never read")

    def predict(self, request: dict[str, Any]) -> Any:
        """Return the outputs for ``request["inputs"]``, a list as long as the inputs."""
        raise Unsupported(f"model '{self.name}' does not predict: class {type(self).__name__} has no predict(request)")

    def explain(self, request: dict[str, Any]) -> Any:
        """Return an explanation of the outputs for ``request["inputs"]``."""
        raise Unsupported(f"model '{self.name}' does not explain: class {type(self).__name__} has no explain(request)")

    def preprocess(self, request: Any, operation: str) -> Any:
        """Return the request as ``validate`` and ``predict`` get it."""
        return request

    def validate(self, request: Any, operation: str) -> Any:
        """Return the request when it can be used; raises BadEvent (400) otherwise."""
        return check_request(request, self._key)

    def postprocess(self, response: dict[str, Any]) -> Any:
        """Return the response as the caller gets it."""
        return response

    def logged_results(self, request: Any, response: Any, op: str) -> tuple[Any, Any]:
        """Return the inputs and outputs that tracking should keep; ``None`` stands for those of the request."""
        return None, None

    # What a model can use.

    def get_param(self, key: str, default: Any = None) -> Any:
        """Return a parameter of the model, else of the function."""
        if key in self._kwargs or self.context is None:
            return self._kwargs.get(key, default)
        return self.context.get_param(key, default)

    def set_metric(self, name: str, value: Any) -> None:
        """Keep a value that tracking records beside the predictions."""
        self.metrics[name] = value

    def get_model(self, suffix: str | tuple[str, ...] = "") -> tuple[str | None, dict[str, str] | None]:
        """Fetch what ``model_path`` names; return the local path and the other files of its folder by name.

        With a ``sha256`` among the model's parameters the file is checked first. Both are ``None`` without a path.
        Raises ArtifactError.
        """
        if not self.model_path:
            return None, None
        secrets = self.context.get_secret if self.context is not None else None
        fetched = fetch(self.model_path, suffix, sha256=self._kwargs.get("sha256"), secrets=secrets)
        self._fetched.append(fetched)
        return fetched.path, dict(fetched.extra_files)

    def get_metadata(self) -> dict[str, Any]:
        """Return what the model is: name, versions, platform, inputs and outputs."""
        return {
            "name": self._model_name,
            "versions": [self._version] if self._version else [],
            "platform": self.platform,
            "inputs": self.input_schema,
            "outputs": self.output_schema,
        }

    # What the engine calls.

    def post_init(self, mode: str = "sync", **kwargs: Any) -> None:
        """Load the model: now (raises StepError when that fails), or with the mode ``"async"`` in a thread."""
        self._check_class()
        if mode == "async":
            threading.Thread(target=self._load_quietly, name=f"load {self.name}", daemon=True).start()
        else:
            self._load()

    def close(self) -> None:
        """Let go of the model and delete what was downloaded for it."""
        self.ready = False
        self.model = None
        for fetched in self._fetched:
            fetched.close()

    def do_event(self, event: Event) -> Any:
        """Do what the event's path, method and body ask for; return the answering event, or an awaitable of it.

        A router sets the path to the bare operation (``"infer"``, ``""`` for none). A path with a leading slash is
        a URL: the model then stands alone, and any path that names no operation means ``infer``.
        """
        operation = event.path if event.path in _PREDICT else self._operation(event)
        if operation in _PREDICT:
            return self._answer(event, operation, self.predict)
        return self._do_other(event, operation)

    def _do_other(self, event: Event, operation: str) -> Any:
        if operation == "explain":
            return self._answer(event, operation, self.explain)
        if operation in _PREDICT_DICT:
            return self._answer(event, operation.removesuffix("_dict"), self.predict, from_dicts=True)
        if operation == "":
            self._only_reads(event, "metadata")
            return _final(event, self.get_metadata())
        if operation == "ready":
            self._only_reads(event, operation)
            return _final(event, self._readiness())
        return drive(self._custom(event, operation))

    def _operation(self, event: Event) -> str:
        """Return the operation an event asks for; ``""`` asks about the model itself."""
        operation: str | None = event.path
        if event.path.startswith("/"):
            operation = operation_in(event.path, self._knows)
        if operation:
            return operation
        if event.method in READS:
            return "" if operation == "" else "infer"
        request = self._request(event)
        asked = request.get("operation") if isinstance(request, dict) else None
        return str(asked) if asked else "infer"

    def _knows(self, operation: str) -> bool:
        return operation in _BUILT_IN or hasattr(self, f"op_{operation}")

    def _answer(
        self, event: Event, operation: str, run: Callable[[dict[str, Any]], Any], from_dicts: bool = False
    ) -> Any:
        if event.method not in WRITES:
            self._refuse_method(event, operation, "POST")
        self._check_ready()
        return drive(self._answering(event, operation, run, from_dicts))

    def _answering(
        self, event: Event, operation: str, run: Callable[[dict[str, Any]], Any], from_dicts: bool
    ) -> Generator[Any, Any, Event]:
        request = self._request(event)
        answer_id = _take_id(event, request)
        if from_dicts:
            request = rows_from_dicts(request, self._key, self.input_schema, self.name)
        overridden = self._overridden
        if "preprocess" in overridden:
            request = yield self.preprocess(request, operation)
        if "validate" in overridden:
            request = yield self.validate(request, operation)
        else:
            request = check_request(request, self._key)
        outputs = yield run(request)
        response = {"id": answer_id, "model_name": self._model_name, "outputs": outputs, "timestamp": timestamp()}
        if self._version:
            response["model_version"] = self._version
        if "postprocess" in overridden:
            response = yield self.postprocess(response)
        return self._finished(event, response)

    def _custom(self, event: Event, operation: str) -> Generator[Any, Any, Event]:
        method = getattr(self, f"op_{operation}", None)
        if method is None:
            known = sorted({*_BUILT_IN, *(each[3:] for each in dir(self) if each.startswith("op_"))})
            hint = nearest(operation, known) or f"; it has {', '.join(known)}"
            raise NotFound(f"model '{self.name}' has no operation '{operation}'{hint}")
        self._check_ready()
        result = yield method(event)
        return event if result is event else self._finished(event, result)

    def _request(self, event: Event) -> Any:
        body = event.body
        if self._input_path:
            body = get_path(body, self._input_path)
        return body if type(body) is dict else read_request(body, event.content_type, self._key)

    def _finished(self, event: Event, result: Any) -> Event:
        if self._result_path:
            body = event.body
            result = set_path(dict(body) if isinstance(body, dict) else body, self._result_path, result)
        event.body = result
        return event

    # Readiness.

    def _load(self) -> None:
        try:
            self.load()
        except GraphError as error:
            self.error = str(error)
            raise
        except (Exception, SystemExit) as error:
            self.error = f"{type(error).__name__}: {error}"
            raise StepError(f"model '{self.name}' failed to load: {self.error}") from error
        self.error = ""
        self.ready = True

    def _load_quietly(self) -> None:
        logger = self.context.logger if self.context is not None else Logger()
        try:
            self._load()
        except (GraphError, StepError):
            logger.exception(f"model '{self.name}' failed to load")
        else:
            logger.info(f"model '{self.name}' was loaded")

    def _check_class(self) -> None:
        cls = type(self)
        if inspect.iscoroutinefunction(self.load):
            told = f"load() of class {cls.__name__} must not be async: models load before the server is ready"
            raise GraphError(told, self.name, "load")
        own = [
            each for each in ("predict", "explain", "do_event") if getattr(cls, each) is not vars(V2ModelServer)[each]
        ]
        if not own and "predict" not in vars(self) and not any(each.startswith("op_") for each in dir(cls)):
            told = f"class {cls.__name__} defines no predict(request), so model '{self.name}' could not answer"
            raise GraphError(told, self.name, "predict")

    def _check_ready(self) -> None:
        if self.ready:
            return
        if self.error:
            raise NotReady(f"model '{self.name}' failed to load: {self.error}", retry_after=None)
        raise NotReady(f"model '{self.name}' is not ready yet: it is still loading")

    def _readiness(self) -> Any:
        try:
            self._check_ready()
        except NotReady as error:
            body = {"name": self._model_name, "ready": False, "error": str(error)}
            again = {"Retry-After": "1"} if error.retry_after else None
            return Response(body, error.status_code, again)
        return {"name": self._model_name, "ready": True}

    def _only_reads(self, event: Event, operation: str) -> None:
        if event.method not in READS:
            self._refuse_method(event, operation, "GET")

    def _refuse_method(self, event: Event, operation: str, method: str) -> None:
        raise MethodNotAllowed(f"model '{self.name}': {operation} takes {method}, not {event.method}")


def _final(event: Event, body: Any) -> Event:
    """Answer an event about the model rather than to it: no further step has any business with it."""
    event.body = body
    event.terminated = True
    return event


def _take_id(event: Event, request: Any) -> Any:
    """Return the id for the answer: the request's own, which is then the event's too, else the event's."""
    own = request.get("id") if type(request) is dict else None
    if own is None or own == "":
        return event.id
    if not isinstance(own, str | int | float):
        raise BadEvent(f'Expected "id" to be text, not {type(own).__name__}')
    # The event's id goes into headers and logs; an odd one stays in the answer alone.
    text = str(own)
    if len(text) <= 256 and text.isascii() and text.isprintable():
        event.id = text
    return own
