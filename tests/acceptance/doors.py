"""The two doors through which these tests ask a function: its mock server, and a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

import servegraph
from servegraph.serve.http import serve_in_background

DOORS = ("mock", "http")

Ask = Callable[..., tuple[int, Any]]


@contextmanager
def opened(fn: servegraph.ServingFunction, door: str) -> Iterator[Ask]:
    """Open a door; what it gives is called with path, body and more, and returns status and body of the answer."""
    if door == "mock":
        with fn.to_mock_server() as server:
            yield lambda path="/", body=None, **more: _through_mock(server, path, body, more)
    else:
        with serve_in_background(fn.builder()) as address, httpx.Client(base_url=address) as client:
            yield lambda path="/", body=None, **more: _through_http(client, path, body, more)


def _through_mock(server: Any, path: str, body: Any, more: dict[str, Any]) -> tuple[int, Any]:
    response = server.test(path, body, more.get("method", ""), silent=True, get_body=False, event_id=more.get("id"))
    return response.status_code, response.body


def _through_http(client: httpx.Client, path: str, body: Any, more: dict[str, Any]) -> tuple[int, Any]:
    headers = {"x-request-id": more["id"]} if "id" in more else {}
    content = {} if body is None else {"json": body}
    answer = client.request(more.get("method") or ("POST" if content else "GET"), path, headers=headers, **content)
    return answer.status_code, answer.json() if answer.content else None
