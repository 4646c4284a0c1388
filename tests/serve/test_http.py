"""The HTTP server of one process, asked over real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from tests.serve.served import Wire, ask, builder, post, running

from servegraph.errors import GraphError
from servegraph.events import Response
from servegraph.serve.http import run, serve_in_background
from servegraph.serve.sockets import AddressInUse, bind


def echo(body):
    return body


async def sleep(body):
    await asyncio.sleep(body["seconds"])
    return body


class Unloadable:
    def post_init(self, mode):
        raise RuntimeError("no model today")

    def do(self, body):
        return body


def test_a_graph_answers_over_http():
    with serve_in_background(builder(echo)) as address:
        answer = ask(address, post('{"a": 1}'))
        assert (answer.status, answer.json) == (200, {"a": 1})
        assert answer.headers["content-type"] == "application/json"
        assert "date" in answer.headers


def test_an_event_carries_what_the_request_said():
    def tell(event):
        event.body = {
            "path": event.path,
            "method": event.method,
            "query": event.query,
            "id": event.id,
            "type": event.content_type,
            "trigger": event.trigger.kind,
            "headers": dict(event.headers),
        }
        return event

    with serve_in_background(builder(tell, full_event=True)) as address:
        request = post("[]", "/a%20b/c?x=1&y=2", x_request_id="my-id", connection="x-hop", x_hop="1", x_stay="2")
        answer = ask(address, request)
        told = answer.json
    assert told["path"] == "/a%20b/c"
    assert (told["method"], told["query"], told["id"]) == ("POST", "x=1&y=2", "my-id")
    assert (told["type"], told["trigger"]) == ("application/json", "http")
    assert told["headers"]["x-stay"] == "2"
    assert not {"connection", "x-hop"} & told["headers"].keys()
    assert answer.headers["x-request-id"] == "my-id"


def test_event_headers_override_id_and_path():
    def tell(event):
        event.body = [event.id, event.path]
        return event

    with serve_in_background(builder(tell, full_event=True)) as address:
        answer = ask(address, post(mlrun_event_id="e1", mlrun_event_path="/other", x_request_id="r1"))
    assert answer.json == ["e1", "/other"]


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "caf\u00e9".encode().decode("latin-1")])
def test_an_id_that_is_not_fit_to_be_logged_is_replaced(bad):
    with serve_in_background(builder(echo)) as address:
        answer = ask(address, post(x_request_id=bad))
    assert answer.status == 200
    assert len(answer.headers["x-request-id"]) == 32


def test_a_step_decides_on_status_headers_and_type():
    def teapot(body):
        return Response("short", 418, {"X-Kind": "pot", "Content-Length": "999", "Connection": "x"}, "text/x-tea")

    with serve_in_background(builder(teapot)) as address:
        answer = ask(address, post())
    assert (answer.status, answer.body) == (418, b"short")
    assert answer.headers["content-type"] == "text/x-tea"
    assert answer.headers["x-kind"] == "pot"
    assert answer.headers["content-length"] == "5"


@pytest.mark.parametrize("headers", [{"x-a": "1\r\nset-cookie: x"}, {"x a": "1"}, {"x-a": "\u20ac"}])
def test_a_step_cannot_write_headers_that_http_cannot_carry(headers):
    with serve_in_background(builder(lambda body: Response("", 200, headers))) as address:
        answer = ask(address, post())
    assert answer.status == 500
    assert "HTTP cannot carry" in answer.json["error"]


def test_a_body_that_nobody_can_write_is_an_error_answer():
    with serve_in_background(builder(lambda body: object())) as address:
        answer = ask(address, post())
    assert answer.status == 500
    assert answer.json.keys() >= {"error", "type", "id"}
    assert "Traceback" not in answer.json["error"]


def test_an_empty_answer_has_neither_body_nor_length():
    with serve_in_background(builder(lambda body: Response(None, 204))) as address, Wire(address) as wire:
        for _ in range(2):
            answer = wire.ask(post())
            assert (answer.status, answer.body) == (204, b"")
            assert "content-length" not in answer.headers


def test_head_gets_the_length_and_no_body():
    with serve_in_background(builder(lambda body: "four")) as address, Wire(address) as wire:
        for _ in range(2):
            wire.send(b"HEAD / HTTP/1.1\r\nhost: test\r\n\r\n")
            answer = wire.read(head=True)
            assert answer is not None
            assert (answer.status, answer.headers["content-length"]) == (200, "4")


@pytest.mark.parametrize("size", [10, 70_000, 3_000_000])
def test_bodies_of_any_size_travel_unharmed_in_pieces_too(size):
    text = "x" * size
    with serve_in_background(builder(echo)) as address, Wire(address) as wire:
        assert wire.ask(post(json.dumps(text))).body.decode() == text
        chunks = [json.dumps(text).encode()[at : at + 50_000] for at in range(0, size + 2, 50_000)]
        head = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        wire.send(head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))
        answer = wire.ask(b"0\r\n\r\n")
        assert answer.body.decode() == text


def test_what_is_neither_json_nor_text_stays_bytes():
    data = bytes(range(256)) * 400
    with serve_in_background(builder(lambda body: body[::-1])) as address:
        answer = ask(address, post(data, content_type="application/octet-stream"))
    assert answer.body == data[::-1]


def test_health_and_readiness():
    with serve_in_background(builder(echo)) as address:
        for path, body in (("/healthz", {"alive": True}), ("/readyz", {"ready": True})):
            with urllib.request.urlopen(address + path) as answer:
                assert json.load(answer) == body
            refused = ask(address, post(path=path))
            assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_hundred_requests_wait_together():
    async def all_at_once(address):
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=100), timeout=30) as client:
            requests = [client.post(address, json={"seconds": 0.2}) for _ in range(100)]
            return [answer.status_code for answer in await asyncio.gather(*requests)]

    with serve_in_background(builder(sleep)) as address:
        begun = time.monotonic()
        assert asyncio.run(all_at_once(address)) == [200] * 100
        assert time.monotonic() - begun < 4


def test_a_full_server_says_when_to_come_back():
    with serve_in_background(builder(sleep, max_in_flight=1, max_waiting=0)) as address, Wire(address) as first:
        first.send(post('{"seconds": 0.5}'))
        with Wire(address) as second:
            for _ in range(100):
                answer = second.ask(post('{"seconds": 0}'))
                if answer.status == 503:
                    break
        assert answer.json["type"] == "Overloaded"
        assert int(answer.headers["retry-after"]) >= 1
        assert first.read().status == 200


def test_a_deadline_ends_a_request():
    with serve_in_background(builder(sleep, request_timeout=0.1)) as address:
        answer = ask(address, post('{"seconds": 30}'))
    assert (answer.status, answer.json["type"]) == (504, "DeadlineExceeded")


@pytest.mark.parametrize("kind", ["sleep", "loop"])
def test_health_does_not_wait_for_a_step_that_blocks_on_its_first_call(kind):
    began = threading.Event()

    def block(body):
        began.set()
        end = time.monotonic() + 1
        if kind == "sleep":
            time.sleep(1)
        while time.monotonic() < end:
            pass
        return "done"

    with serve_in_background(builder(block)) as address, Wire(address) as wire, Wire(address) as health:
        wire.send(post())
        assert began.wait(5)
        times = []
        for _ in range(10):
            begun = time.monotonic()
            assert health.ask(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").status == 200
            times.append(time.monotonic() - begun)
        assert sorted(times)[5] < 0.2
        assert wire.read().body == b"done"


def test_a_taken_port_is_said_before_anything_is_loaded():
    def never():
        raise AssertionError("loaded before bound")

    with closing(bind(port=0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}; stop it, or choose another port"):
            run(never, port=port)


def test_a_graph_that_cannot_start_is_an_error_for_the_one_who_starts_it():
    with pytest.raises(GraphError, match="no model today"), serve_in_background(builder(Unloadable)):
        pass


def test_tls_is_spoken_with_a_context(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    made = subprocess.run(
        [*command, "-keyout", str(key), "-out", str(cert), "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("openssl is not here to make a certificate")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cert)
    with serve_in_background(builder(echo, max_body=1000), tls=context) as address:
        assert address.startswith("https://")
        client = ssl.create_default_context(cafile=str(cert))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)), httpx.Client(verify=client) as nobody:
            nobody.get(address + "/healthz")
        client.load_cert_chain(cert, key)
        with httpx.Client(verify=client) as known:
            assert known.post(address, json=[1]).json() == [1]
            assert known.post(address, content=b"x" * 2000).status_code == 413


def test_sigterm_finishes_what_is_in_flight_and_exits_clean():
    with running() as server, Wire(server.address) as idle, Wire(server.address) as busy:
        assert idle.ask(post("{}", "/m")).status == 200
        busy.send(post('{"sleep": 0.8}', "/m"))
        with Wire(server.address) as other:
            assert other.ask(post("{}", "/m")).status == 200
        server.process.send_signal(signal.SIGTERM)
        answer = busy.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert busy.closed()
        assert idle.closed()
        assert server.process.wait(20) == 0


def test_readiness_goes_before_the_door_closes(tmp_path):
    with running() as server, Wire(server.address) as busy, Wire(server.address) as probe:
        busy.send(post('{"sleep": 0.5}', "/m"))
        ready = b"GET /readyz HTTP/1.1\r\nhost: test\r\n\r\n"
        assert probe.ask(ready).status == 200
        server.process.send_signal(signal.SIGTERM)
        status = 200
        while status == 200:
            with Wire(server.address) as fresh:
                status = fresh.ask(ready).status
        assert status == 503
        assert busy.read().status == 200


def test_a_second_signal_ends_at_once():
    with running() as server, Wire(server.address) as busy:
        busy.send(post('{"sleep": 60}', "/m"))
        with Wire(server.address) as other:
            assert other.ask(post("{}", "/m")).status == 200
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError):
            while True:
                Wire(server.address).close()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 1


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["alone", "two workers"])
def test_no_request_fails_by_sigterm_under_load(workers):
    with running(*workers) as server:
        failures, answered = [], []
        refused = (ConnectionRefusedError, TimeoutError)

        def client() -> None:
            while True:
                try:
                    wire = Wire(server.address)
                except refused:
                    return
                with wire:
                    while True:
                        try:
                            wire.send(post("{}", "/m"))
                            answer = wire.read()
                        except OSError as error:
                            failures.append(error)
                            return
                        if answer is None:
                            failures.append("closed without an answer")
                            return
                        answered.append(answer.status)
                        if answer.headers.get("connection") == "close":
                            break

        with ThreadPoolExecutor(16) as pool:
            for _ in range(16):
                pool.submit(client)
            while len(answered) < 200:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert set(answered) == {200}
        assert failures == []


def test_the_door_imports_no_web_framework():
    program = "import sys, servegraph.serve.http as _; print('uvicorn' in sys.modules, 'h11' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "False"]


def test_a_socket_of_another_family_has_an_address():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        sock = bind("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    sock.close()
    with serve_in_background(builder(echo), host="::1") as address:
        assert address.startswith("http://[::1]:")
        assert httpx.post(address, json=1).json() == 1
