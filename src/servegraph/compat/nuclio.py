"""``mlrun.runtimes.nuclio_init_hook``: lets a Nuclio worker serve the graph that its platform hands to it."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from servegraph.errors import GraphError
from servegraph.function import ServingFunction
from servegraph.serve.mock import MockServer
from servegraph.wire.json import dumps

_SPEC: Final = "SERVING_SPEC_ENV"
_FIELDS: Final = ("graph", "parameters", "load_mode", "graph_initializer", "error_stream", "default_content_type")


def nuclio_init_hook(context: Any, data: Mapping[str, Any], kind: str = "serving_v2") -> None:
    """Start the graph of the worker's environment (SERVING_SPEC_ENV) and set ``context.mlrun_handler``.

    ``data`` holds the names that the graph uses, commonly ``globals()``. Raises GraphError where there is no graph.
    """
    if kind not in ("serving", "serving_v2"):
        raise GraphError(f"nuclio_init_hook starts functions of kind 'serving_v2', not '{kind}'", code="kind")
    text = os.environ.get(_SPEC)
    if not text:
        told = f"there is no graph to serve: {_SPEC} is not set; without Nuclio, serve this file with: servegraph serve"
        raise GraphError(told, code="no-graph")
    server = _function(_read(text)).to_mock_server(namespace=data)
    context.mlrun_handler = lambda context, event: _answer(server, context, event)


def _read(text: str) -> dict[str, Any]:
    plain = text if text.lstrip().startswith("{") else gzip.decompress(base64.b64decode(text))
    spec: dict[str, Any] = json.loads(plain)
    return spec


def _function(spec: Mapping[str, Any]) -> ServingFunction:
    fields = {name: spec[name] for name in _FIELDS if spec.get(name)}
    about = {"name": spec.get("function_name"), "project": spec.get("project"), "tag": spec.get("function_tag")}
    return ServingFunction.from_dict({"kind": "serving", "metadata": about, "spec": fields})


def _answer(server: MockServer, context: Any, event: Any) -> Any:
    response = server.test(
        event.path or "/",
        event.body,
        event.method or "",
        event.headers,
        event.content_type,
        silent=True,
        get_body=False,
    )
    body, kind = response.body, response.content_type
    if not isinstance(body, str | bytes):
        body, kind = dumps(body), kind or "application/json"
    return context.Response(
        body=body, headers=dict(response.headers), content_type=kind or "text/plain", status_code=response.status_code
    )
