"""The door as an ASGI app: by its own contract, under another server, and equal to the door of servegraph's own."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from tests.serve.served import Wire, ask, builder, post

from servegraph.errors import GraphError
from servegraph.events import Response
from servegraph.serve.asgi import make_app
from servegraph.serve.http import serve_in_background
from servegraph.serve.sockets import bind


def echo(body):
    return body


class Client:
    """One request to an ASGI app: the messages that it receives, and what it sent."""

    def __init__(self, *messages, method="POST", path="/", headers=None, then=None):
        self.messages = [*messages]
        self.then = then
        self.sent = []
        self.scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }  # fmt: skip

    async def receive(self):
        if self.messages:
            return self.messages.pop(0)
        if self.then is not None:
            await self.then.wait()
            return {"type": "http.disconnect"}
        await asyncio.sleep(3600)

    async def send(self, message):
        self.sent.append(message)

    async def ask(self, app):
        await app(self.scope, self.receive, self.send)
        if not self.sent:
            return None
        start, body = self.sent
        return start["status"], json.loads(body["body"] or b"null")


def body(data=b"[1]", more=False):
    return {"type": "http.request", "body": data, "more_body": more}


class Lifespan:
    """The lifespan of an app, driven by hand."""

    def __init__(self, app):
        self.inbox, self.outbox = asyncio.Queue(), asyncio.Queue()
        self.task = asyncio.ensure_future(app({"type": "lifespan"}, self.inbox.get, self.outbox.put))

    async def say(self, what):
        await self.inbox.put({"type": f"lifespan.{what}"})
        return await asyncio.wait_for(self.outbox.get(), 10)


class Unloadable:
    def post_init(self, mode):
        raise RuntimeError("no model today")

    def do(self, body):
        return body


def test_lifespan_starts_and_stops_the_server():
    built = []

    def build():
        built.append(builder(echo)())
        return built[0]

    async def live():
        app = make_app(build)
        life = Lifespan(app)
        assert await life.say("startup") == {"type": "lifespan.startup.complete"}
        assert built[0].ready
        assert await Client(body()).ask(app) == (200, [1])
        assert await life.say("shutdown") == {"type": "lifespan.shutdown.complete"}
        assert not built[0].ready
        await life.task

    asyncio.run(live())


def test_a_graph_that_cannot_start_fails_the_startup_with_its_faults():
    async def live():
        return await Lifespan(make_app(builder(Unloadable))).say("startup")

    failed = asyncio.run(live())
    assert failed["type"] == "lifespan.startup.failed"
    assert "no model today" in failed["message"]


def test_without_lifespan_the_first_request_starts_the_server_once():
    built = []

    def build():
        built.append(1)
        return builder(echo)()

    async def ask_many():
        app = make_app(build)
        return await asyncio.gather(*(Client(body()).ask(app) for _ in range(10)))

    assert asyncio.run(ask_many()) == [(200, [1])] * 10
    assert built == [1]


def test_without_lifespan_a_graph_that_cannot_start_is_an_answer():
    async def ask_one():
        return await Client(body()).ask(make_app(builder(Unloadable)))

    status, answer = asyncio.run(ask_one())
    assert status == 503
    assert "no model today" in answer["error"]


@pytest.mark.parametrize(
    ("client", "status"),
    [
        (Client(body(b"[", more=True), body(b"2]")), 200),
        (Client(body(b"x" * 60)), 413),
        (Client(body(b"x" * 30, more=True), body(b"x" * 30, more=True)), 413),
        (Client(headers={"content-length": "51"}), 413),
        (Client(body(b"[", more=True)), 408),
        (Client(), 408),
        (Client(headers={"content-encoding": "br"}), 415),
        (Client(method="TRACE"), 405),
        (Client(body(b""), method="GET", path="/readyz"), 200),
        (Client(body(), path="/readyz"), 405),
    ],
)
def test_bodies_are_bounded_in_size_and_time(client, status):
    async def ask_one():
        return await client.ask(make_app(builder(echo, max_body=50, body_timeout=0.1)))

    assert asyncio.run(ask_one())[0] == status


@pytest.mark.parametrize("leaves", ["while sending", "while waiting"])
def test_a_client_that_leaves_stops_what_ran_for_it(leaves):
    async def live():
        begun, stopped = asyncio.Event(), asyncio.Event()

        async def wait(body):
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.set()

        app = make_app(builder(wait))
        sent = [body(b"[", more=True), {"type": "http.disconnect"}] if leaves == "while sending" else [body()]
        client = Client(*sent, then=begun)
        assert await asyncio.wait_for(client.ask(app), 10) is None
        if leaves == "while waiting":
            await asyncio.wait_for(stopped.wait(), 10)
        assert begun.is_set() == (leaves == "while waiting")

    asyncio.run(live())


def test_a_server_that_cancels_a_request_is_obeyed():
    async def live():
        begun = asyncio.Event()

        async def wait(body):
            begun.set()
            await asyncio.sleep(3600)

        task = asyncio.ensure_future(Client(body()).ask(make_app(builder(wait))))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(live())


@contextmanager
def under_uvicorn(build):
    """Serve the ASGI app with uvicorn from a thread."""
    sock = bind(port=0)
    config = uvicorn.Config(make_app(build), log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    host, port = sock.getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


CORPUS = [
    post("[1]"), post(""), post("{"), post('"text"'), post("0"), post("null"), post("{}"),
    post("caf\u00e9", content_type="text/plain"), post(b"\x00\xff", content_type="application/octet-stream"),
    post("[1]", "/a%20b?x=1"), post("x" * 1001), post(content_encoding="gzip"), post("[1]", "/healthz"),
    post(content_type="application/json; charset=utf-8"), b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n", b"DELETE /x HTTP/1.1\r\nhost: t\r\n\r\n",
    post('{"fail": 1}'), post('{"empty": 1}'),
]  # fmt: skip


def test_both_doors_give_equal_answers():
    def step(body):
        if isinstance(body, dict) and "fail" in body:
            raise ValueError("as asked")
        return Response(None, 204) if isinstance(body, dict) and "empty" in body else body

    def plain(address, request):
        answer = ask(address, request.replace(b"\r\n", b"\r\nx-request-id: same\r\n", 1))
        of_a_server = ("date", "server", "connection")
        return answer.status, {k: v for k, v in answer.headers.items() if k not in of_a_server}, answer.body

    build = builder(step, max_body=1000)
    with serve_in_background(build) as own, under_uvicorn(build) as other:
        for request in CORPUS:
            assert plain(own, request) == plain(other, request)


def test_under_uvicorn_a_client_that_leaves_stops_what_ran_for_it():
    begun, stopped = threading.Event(), threading.Event()

    async def wait(body):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    with under_uvicorn(builder(wait)) as address:
        with Wire(address) as wire:
            wire.send(post())
            assert begun.wait(5)
        assert stopped.wait(5)


def test_a_fault_in_building_is_told_like_one_in_starting():
    def build():
        raise GraphError("nothing here")

    async def live():
        return await Client(body()).ask(make_app(build))

    assert asyncio.run(live())[0] == 503
