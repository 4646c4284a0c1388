"""The model repository over HTTP: which models there are, and, where it is switched on, loading and unloading them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from servegraph.errors import BadEvent, Forbidden, GraphError, MethodNotAllowed, NotFound
from servegraph.events import Response
from servegraph.protocols import RouteControl
from servegraph.wire.json import loads

PREFIX: Final = "/v2/repository/"


class Repository:
    """Answers ``/v2/repository/...`` as the Open Inference Protocol's repository extension has it.

    ``index`` lists the models. ``models/NAME/load`` reloads a model, or adds it with the ``parameters`` of the body
    (``class_name``, ``model_path`` and class arguments); ``models/NAME/unload`` takes it away. Both answer once the
    change is in force everywhere.
    """

    def __init__(self, control: Callable[[str], RouteControl], changes_allowed: bool) -> None:
        """Take who changes routes (by the router's name), and whether requests may."""
        self._control = control
        self._changes_allowed = changes_allowed

    async def answer(self, method: str, path: str, body: bytes | bytearray) -> Response:
        """Answer one request; raises the EventError that it deserves."""
        try:
            return await self._answer(method, path, body)
        except GraphError as error:
            raise BadEvent(str(error)) from error

    async def _answer(self, method: str, path: str, body: bytes | bytearray) -> Response:
        if method != "POST":
            raise MethodNotAllowed(f"{path} is asked with POST")
        options = loads(body) if body else {}
        if not isinstance(options, dict):
            raise BadEvent(f"the body of {path} has to be a JSON object")
        if path == f"{PREFIX}index":
            return Response([_row(name) for name in await asyncio.to_thread(self._names)])
        match path.removeprefix(PREFIX).split("/"):
            case ["models", name, "load" | "unload" as action] if name:
                return await self._change(unquote(name), action, options)
            case ["models", name, "versions", version, "load" | "unload" as action] if name and version:
                return await self._change(f"{unquote(name)}:{unquote(version)}", action, options)
        raise NotFound(f"{path} is not there; there are index, models/NAME/load and models/NAME/unload")

    async def _change(self, name: str, action: str, options: dict[str, Any]) -> Response:
        if not self._changes_allowed:
            message = "models are not changed by requests here; Settings(model_control=True) switches it on"
            raise Forbidden(message)
        parameters = options.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise BadEvent("'parameters' has to be a JSON object, as {'class_name': ..., 'model_path': ...}")
        await asyncio.to_thread(self._carry_out, name, action, parameters)
        return Response({"name": name})

    def _names(self) -> list[str]:
        return list(self._control("").names())

    def _carry_out(self, name: str, action: str, parameters: dict[str, Any]) -> None:
        control = self._control("")
        if action == "load" and parameters:
            control.add(name, **parameters)
            return
        if name not in control.names():
            known = ", ".join(control.names()) or "none"
            raise NotFound(f"model '{name}' is not there (there are: {known}); 'parameters' add one")
        if action == "load":
            control.reload(name)
        else:
            control.remove(name)


def _row(name: str) -> dict[str, str]:
    model, _, version = name.partition(":")
    return {"name": model, "version": version, "state": "READY", "reason": ""}
