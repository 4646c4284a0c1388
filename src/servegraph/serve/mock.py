"""The door for tests and notebooks: a whole graph in this process, asked by calling."""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from servegraph.bodies import copy_body
from servegraph.context import Context
from servegraph.engine.stream import Chunks
from servegraph.errors import ServerError
from servegraph.events import MOCK, Event, Trigger
from servegraph.pools.loop import LoopThread
from servegraph.protocols import RouteControl
from servegraph.serve.server import Server


class MockServer:
    """Runs a graph in this process: ``test`` sends it an event and returns the answer.

    Plain sync graphs run on the calling thread; all others on an event loop in a daemon thread. Leaving it open keeps
    no process alive; ``with`` closes it.
    """

    def __init__(self, build: Callable[[], Server]) -> None:
        """Build and start a server; raises GraphError with everything that is wrong with the graph."""
        self._loop = LoopThread("servegraph-mock")
        self._server = build()
        self._closed = False
        self.errors: deque[dict[str, Any]] = deque(maxlen=1000)
        """The records of events that failed for good, the latest thousand."""
        if self._server.context.error_sink is None:
            self._server.context.error_sink = _Recorder(self.errors)
        if self._server.calls:
            self._server.start_calling()
        else:
            self._loop.run(self._server.start())

    @property
    def context(self) -> Context:
        """What the steps see of the server; tests may attach things to it."""
        return self._server.context

    @property
    def server(self) -> Server:
        """The server behind this door."""
        return self._server

    def control(self, router: str = "") -> RouteControl:
        """Return what adds, removes and reloads the models of a router while it serves."""
        return self._server.control(router)

    def test(
        self,
        path: str = "/",
        body: Any = None,
        method: str = "",
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        silent: bool = False,
        get_body: bool = True,
        event_id: str | None = None,
        trigger: Trigger | None = None,
        offset: int | None = None,
        time: datetime.datetime | float | None = None,
    ) -> Any:
        """Send one event and return the body of its answer (with ``get_body=False``, the Response).

        The method is POST where there is a body, even an empty one, and GET where there is none. An error answer
        raises ServerError whose cause is the step's own exception; with ``silent`` its Response is returned instead.
        """
        event = Event(
            body if body is None or type(body) is str or type(body) is bytes else _own(body),
            None,
            event_id,
            path,
            method or ("GET" if body is None else "POST"),
            headers,
            content_type or "",
            time,
            trigger or MOCK,
        )
        if headers:
            event.id = event.headers.get("mlrun-event-id", event.id)
            event.path = event.headers.get("mlrun-event-path", path)
            event.content_type = event.content_type or event.headers.get("content-type", "")
        if offset is not None:
            event.__dict__["offset"] = offset
        server = self._server
        response = server.call(event) if server.calls else self._loop.run(server.handle(event))
        if type(response.body) is Chunks and not server.calls:
            chunks: Chunks = response.body
            chunks.call = lambda walk: self._loop.run(server.drive(walk))
        if response.status_code >= 400:
            if silent:
                return response
            raise ServerError(response.status_code, response.body) from response.error
        return response.body if get_body else response

    def wait_for_completion(self) -> None:
        """Wait until every event sent so far has gone all its ways; the next ``test`` starts afresh."""
        if not self._server.calls and not self._closed:
            self._loop.run(self._server.wait_for_completion())

    def close(self) -> None:
        """Finish what is under way and close the steps."""
        if self._closed:
            return
        self.wait_for_completion()
        self._closed = True
        if self._server.calls:
            self._server.stop_calling()
        else:
            self._loop.run(self._server.stop())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Recorder:
    """An error stream that a test can read."""

    def __init__(self, records: deque[dict[str, Any]]) -> None:
        self._records = records

    def push(self, record: dict[str, Any]) -> None:
        self._records.append(record)


def _own(body: Any) -> Any:
    """Return a copy, so that no step changes what the test holds; what cannot be copied is passed as it is."""
    try:
        return copy_body(body)
    except Exception:
        return body
