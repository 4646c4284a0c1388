"""The two doors that every request fault is provoked at: the mock server, and HTTP over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from servegraph.function import ServingFunction
from servegraph.serve.http import serve_in_background
from servegraph.serve.server import Server


@dataclass(frozen=True)
class Request:
    """What a caller sends; bytes go out as they are, anything else as JSON."""

    path: str = "/"
    body: Any = field(default_factory=dict)
    method: str = "POST"
    content_type: str = "application/json"
    id: str = "a-request"

    @property
    def content(self) -> bytes | None:
        if self.method != "POST":
            return None
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Answer:
    """What the caller gets: the status, the body, and the seconds after which to come back."""

    status: int
    body: Any
    retry_after: str | None = None


class Door(Protocol):
    """One way in: the server behind it, and what asks it."""

    server: Server

    def ask(self, request: Request) -> Answer: ...


Doorway = Callable[..., Any]


class _Mock:
    def __init__(self, mock: Any) -> None:
        self.server: Server = mock.server
        self._mock = mock

    def ask(self, request: Request) -> Answer:
        given = {"content_type": request.content_type, "event_id": request.id, "silent": True, "get_body": False}
        response = self._mock.test(request.path, request.content, request.method, **given)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, response.body, headers.get("retry-after"))


class _Http:
    def __init__(self, server: Server, client: httpx.Client) -> None:
        self.server = server
        self._client = client

    def ask(self, request: Request) -> Answer:
        headers = {"content-type": request.content_type, "x-request-id": request.id}
        response = self._client.request(request.method, request.path, content=request.content, headers=headers)
        body = response.json() if response.content else None
        return Answer(response.status_code, body, response.headers.get("retry-after"))


@contextmanager
def over_mock(function: ServingFunction, **settings: Any) -> Iterator[Door]:
    with function.to_mock_server(**settings) as mock:
        yield _Mock(mock)


@contextmanager
def over_http(function: ServingFunction, **settings: Any) -> Iterator[Door]:
    built: list[Server] = []

    def build() -> Server:
        built.append(function.build_server(**settings))
        return built[0]

    with (
        serve_in_background(build) as address,
        httpx.Client(base_url=address, timeout=30, trust_env=False) as client,
    ):
        yield _Http(built[0], client)


DOORS: dict[str, Doorway] = {"mock": over_mock, "http": over_http}
