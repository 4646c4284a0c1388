"""The function a user holds: a graph, its code and settings, and the ways to run it."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servegraph.errors import Fault, GraphError
from servegraph.function import documents
from servegraph.function.call import request
from servegraph.function.carry import carry
from servegraph.function.configured import Configured, changed_settings
from servegraph.function.launch import faults_of, no_graph, start
from servegraph.function.spec import (
    FunctionSpec,
    Graph,
    Metadata,
    copy_graph,
    generated_name,
    normalised_name,
)
from servegraph.function.topology import new_topology, remove_steps, router_of
from servegraph.graph import rules
from servegraph.graph.spec import to_dict
from servegraph.serve.asgi import ASGIApp, make_app
from servegraph.serve.mock import MockServer
from servegraph.serve.server import Server
from servegraph.sources.frames import caller_globals, caller_namespaces
from servegraph.sources.load import file_being_loaded

logger = logging.getLogger("servegraph")


class ServingFunction(Configured):
    """A deployable unit: a graph with its code, requirements and settings.

    ``address`` is where it is served, once it is. ``metadata`` says who it is, ``spec`` what it does.
    """

    kind = documents.KIND

    def __init__(self, name: str = "", project: str = "", tag: str = "") -> None:
        """Name the function; without a name it gets one."""
        self.metadata = Metadata(normalised_name(name) if name else generated_name(), project, tag)
        self.spec = FunctionSpec()
        self.address = ""
        self._home: Mapping[str, Any] = caller_globals()
        self._mock: MockServer | None = None
        self._has_told = False

    @property
    def graph(self) -> Graph:
        """The graph; raises GraphError where there is none yet."""
        if self.spec.graph is None:
            raise GraphError(no_graph(self.metadata.name))
        return self.spec.graph

    def set_topology(
        self,
        topology: str | None = None,
        class_name: Any = None,
        engine: str | None = None,
        exist_ok: bool = False,
        allow_cyclic: bool = False,
        max_iterations: int | None = None,
        **class_args: Any,
    ) -> Any:
        """Start the graph, a ``router`` (the default) or a ``flow``, and return it.

        ``class_name`` and ``class_args`` are the router's; ``engine`` is ``async`` (the default) or ``sync``. With
        ``exist_ok`` a graph of the same topology is replaced by an empty one. Raises GraphError for anything else.
        """
        options = {"engine": engine, "allow_cyclic": allow_cyclic, "max_iterations": max_iterations}
        self.spec.graph = new_topology(
            self.metadata.name, self.spec.graph, topology or "router", class_name, exist_ok, options, class_args
        )
        return self.spec.graph

    def add_model(
        self,
        key: str,
        model_path: str | None = None,
        class_name: Any = None,
        model_url: str | None = None,
        handler: str | None = None,
        router_step: str | None = None,
        child_function: str | None = None,
        creation_strategy: str | None = None,
        outputs: list[str] | None = None,
        **class_args: Any,
    ) -> Any:
        """Add a model to the graph's router and return its route; without a graph, a router is started.

        ``class_name`` is a name, a class or an instance, ``spec.default_class`` where it is left out; ``class_args``
        go to the model. ``model_url`` makes a route that calls a model elsewhere. ``router_step`` names the router of
        a flow that has several. ``creation_strategy`` is taken and not used: no records of endpoints are kept here.
        Raises GraphError.
        """
        if model_url:
            class_name, class_args = class_name or "$remote", {"url": model_url, **class_args}
        class_name = class_name or self.spec.default_class
        if not class_name and not handler:
            raise GraphError(
                f"model '{key}' has no class: give class_name=, or set fn.spec.default_class first", code="class"
            )
        given = {"model_path": model_path, "outputs": outputs, "handler": handler, "function": child_function}
        arguments = {name: value for name, value in given.items() if value is not None}
        if self.spec.graph is None:
            self.set_topology("router")
        return router_of(self.graph, router_step).add_route(
            key, class_name=class_name or None, **arguments, **class_args
        )

    def remove_states(self, keys: Sequence[str] = ()) -> None:
        """Remove steps of a flow or routes of a router by name; all of them when no names are given."""
        remove_steps(self.graph, keys)

    def plot(self, *args: Any, **options: Any) -> Any:
        """Draw the graph; see the graph's own ``plot``."""
        return self.graph.plot(*args, **options)

    def check(self, namespaces: Sequence[Any] | None = None) -> list[Fault]:
        """Return everything that is wrong with the function, at once, without building any of its steps.

        Names are looked for in ``namespaces``, by default those of the callers.
        """
        return faults_of(self.metadata, self.spec, caller_namespaces() if namespaces is None else namespaces)

    def hints(self) -> list[Fault]:
        """Return what is allowed in the graph but seldom meant, such as an error handler that no step uses."""
        return [] if self.graph is None else rules.warn(self.graph.spec)

    def to_mock_server(
        self,
        namespace: Any = None,
        current_function: str = "*",
        track_models: bool = False,
        workdir: str | Path | None = None,
        **settings: Any,
    ) -> MockServer:
        """Return a server that runs the function in this process, for tests and notebooks.

        ``namespace`` is a module, a dict, a class or a list of them to find names in, before those of the callers.
        ``workdir`` is the current folder while steps are built; ``settings`` are those of ``Settings``. Raises
        GraphError with everything that is wrong. Tracking of models is not recorded by the mock.
        """
        if track_models:
            logger.warning("function '%s': the mock server records no tracking of models", self.metadata.name)
        namespaces = _namespaces(namespace)
        with contextlib.chdir(workdir or "."):
            return MockServer(
                lambda: self.build_server(
                    is_mock=True, namespaces=namespaces, current_function=current_function, **settings
                )
            )

    def build_server(
        self,
        *,
        is_mock: bool = False,
        namespaces: Sequence[Any] | None = None,
        current_function: str = "*",
        worker_id: int = 0,
        **settings: Any,
    ) -> Server:
        """Return a server of the function as it is now, for any door; ``settings`` change some of ``spec.server``.

        Names are looked for in ``namespaces``, by default those of the callers. Raises GraphError with everything that
        is wrong.
        """
        if self.spec.build.commands and not self._has_told:
            self._has_told = True
            commands = "; ".join(self.spec.build.commands)
            logger.warning("function '%s': build commands are not run here: %s", self.metadata.name, commands)
        return start(
            self.metadata,
            self.spec,
            copy_graph(self.graph),
            caller_namespaces() if namespaces is None else namespaces,
            settings=changed_settings(self.spec.server, settings),
            is_mock=is_mock,
            current_function=current_function,
            worker_id=worker_id,
        )

    def asgi(self, namespace: Any = None, **settings: Any) -> ASGIApp:
        """Return an ASGI app that serves the function under any ASGI server."""
        return make_app(self.builder(namespace, **settings))

    def serve(self, host: str | None = None, port: int | None = None, namespace: Any = None, **settings: Any) -> int:
        """Serve over HTTP from this process until SIGTERM or Ctrl-C; return the exit code.

        Host and port are those of ``with_http`` (127.0.0.1:8080) unless given here; port 0 finds a free one.
        ``address`` is set while the function is served. ``servegraph serve`` does the same in several processes.
        """
        from servegraph.serve.http import run

        if file := file_being_loaded():
            raise GraphError(
                f"{file} is being loaded: put serve() under 'if __name__ == \"__main__\":', "
                "or it would start a second server",
                code="serve",
            )
        http = self.spec.http
        build = self.builder(namespace, **settings)
        try:
            return run(build, host or http.host, http.port if port is None else port, ready=self._served)
        finally:
            self.address = ""

    def builder(self, namespace: Any = None, **settings: Any) -> Callable[[], Server]:
        """Return what makes a server of the function for a door, with the names that the caller sees now."""
        namespaces = _namespaces(namespace)
        return lambda: self.build_server(namespaces=namespaces, **settings)

    def _served(self, address: str) -> None:
        self.address = address
        print(f"function '{self.metadata.name}' is served on {address} (Ctrl-C ends it)", flush=True)

    def invoke(
        self,
        path: str = "/",
        body: Any = None,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        mock: bool = False,
        timeout: float = 60.0,
    ) -> Any:
        """Ask the function where it is served (``address``), or a mock server of it, and return the answer's body.

        Raises ServerError for an error answer, ConnectionError where nobody listens.
        """
        if mock:
            self._mock = self._mock or self.to_mock_server()
            return self._mock.test(path, body, method=method or "", headers=dict(headers or {}))
        if not self.address:
            raise GraphError(
                f"function '{self.metadata.name}' is not served anywhere: serve it and set fn.address, "
                "or ask a mock server with invoke(..., mock=True)",
                code="address",
            )
        return request(self.address, path, body, method, headers, timeout)

    def to_dict(self) -> dict[str, Any]:
        """Return the function as plain data; the code of what its graph names is added by ``export``."""
        return documents.to_document(self.metadata, self.spec)

    def to_yaml(self) -> str:
        """Return ``to_dict`` as YAML text."""
        return documents.to_yaml(self.to_dict())

    def to_json(self) -> str:
        """Return ``to_dict`` as JSON text."""
        return documents.to_json(self.to_dict())

    def exported(self, namespace: Any = None) -> dict[str, Any]:
        """Return the function as plain data with the code it needs; raises GraphError for what cannot be carried."""
        data = self.to_dict()
        if self.spec.graph is not None:
            spaces = [*self.spec.graph.live.namespaces, *_namespaces(namespace)]
            carried = carry(self.metadata.name, self.spec, self.spec.graph, self._home, spaces)
            data["spec"]["graph"] = to_dict(carried.graph)
            if carried.code:
                data["spec"].setdefault("build", {})["code"] = carried.code
            data["spec"] |= documents.filled(
                {"graph_initializer": carried.initializer, "default_class": carried.default_class}
            )
        return data

    def export(self, target: str | Path = "", format: str = "", namespace: Any = None) -> Path:
        """Write the function with its code to a YAML or JSON file and return the path.

        Without a target it is ``<name>.yaml`` in the current folder. Raises GraphError for what cannot be carried.
        """
        path = Path(target or f"{self.metadata.name}.{format.lstrip('.') or 'yaml'}")
        documents.write_document(self.exported(namespace), path, format)
        return path

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], folder: Path | None = None) -> ServingFunction:
        """Read a function from plain data, MLRun's exported functions included; raises GraphError."""
        function = cls()
        function.metadata, function.spec = documents.from_document(data, folder)
        return function

    def copy(self) -> ServingFunction:
        """Return a function of its own with the same definition."""
        twin = copy.copy(self)
        twin.metadata = copy.deepcopy(self.metadata)
        graph = self.spec.graph
        twin.spec = copy.deepcopy(_without_graph(self.spec))
        twin.spec.graph = copy_graph(graph) if graph is not None else None
        twin._mock = None
        return twin

    def __repr__(self) -> str:
        return f"ServingFunction(name={self.metadata.name!r}, project={self.metadata.project!r})"


def _namespaces(namespace: Any) -> list[Any]:
    given = [] if namespace is None else list(namespace) if isinstance(namespace, list | tuple) else [namespace]
    return [*given, *caller_namespaces()]


def _without_graph(spec: FunctionSpec) -> FunctionSpec:
    bare = copy.copy(spec)
    bare.graph = None
    return bare


def asgi(function: ServingFunction, namespace: Any = None, **settings: Any) -> ASGIApp:
    """Return an ASGI app that serves a function: ``app = servegraph.asgi(fn)`` for any ASGI server."""
    return function.asgi(namespace, **settings)
