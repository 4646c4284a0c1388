"""SendToHttp: asks another service over HTTP, and joins what it says into the event."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Unpack

import httpx

from servegraph.errors import DeadlineExceeded
from servegraph.events import DROP, Event
from servegraph.steps.base import Options, StepBase, checked

CONNECTIONS = 100
"""How many connections one step keeps at most."""


@dataclass(slots=True)
class HttpRequest:
    """A request to make: a body that is neither text nor bytes is sent as JSON, ``None`` is none."""

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class HttpResponse:
    """What came back: the status, the body as text, the headers."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class SendToHttp(StepBase):
    """Sends ``request_builder(event)`` and makes ``join_from_response(body, response)`` the new body; ``None`` drops.

    Connections are kept and shared, certificates are verified, and no request outlives its event's deadline. A
    status of 400 or more is no error: ``join_from_response`` sees it.
    """

    def __init__(
        self,
        request_builder: Callable[[Event], HttpRequest],
        join_from_response: Callable[[Any, HttpResponse], Any],
        **options: Unpack[Options],
    ) -> None:
        """Take what makes a request of an event, and what makes a body of its own and the answer; both may be async.

        With ``full_event`` the second is given the event, and returns it.
        """
        super().__init__(**options)
        self.request_builder = checked(request_builder, "request_builder of SendToHttp")
        self.join_from_response = checked(join_from_response, "join_from_response of SendToHttp")
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def do_event(self, event: Event) -> Any:
        """Ask and join; raises httpx.HTTPError where no answer came, DeadlineExceeded where it came too late."""
        request = await _awaited(self.request_builder(event))
        response = await self._send(request, event)
        joined = await _awaited(self.join_from_response(self.seen(event), response))
        if joined is None or joined is DROP:
            return DROP
        return joined if self.full_event else self.put(event, joined)

    async def _send(self, request: HttpRequest, event: Event) -> HttpResponse:
        left = event.deadline - monotonic() if event.deadline else None
        try:
            async with asyncio.timeout(left):
                answer = await self._connected().request(
                    request.method, request.url, headers=dict(request.headers or {}), **_content(request.body)
                )
        except TimeoutError as error:
            raise DeadlineExceeded(f"{request.method} {request.url} was not answered in time") from error
        return HttpResponse(answer.status_code, answer.text, dict(answer.headers))

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            self._client = httpx.AsyncClient(limits=limits, timeout=None)
            self._loop = asyncio.get_running_loop()
        return self._client

    def close(self) -> None:
        """Close the connections."""
        client, loop = self._client, self._loop
        self._client = self._loop = None
        if client is not None and loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(timeout=5)


def _content(body: Any) -> dict[str, Any]:
    if body is None:
        return {}
    return {"content": body} if isinstance(body, str | bytes) else {"json": body}


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
