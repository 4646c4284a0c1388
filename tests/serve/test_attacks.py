"""What clients do by mistake or on purpose: each gets a clear answer, costs little, and harms no other."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serve.served import Answer, Wire, ask, builder, post

from servegraph.serve.http import serve_in_background

GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"


def echo(body):
    return body


@pytest.fixture(scope="module")
def address():
    limits = {"max_body": 1000, "header_timeout": 0.3, "body_timeout": 0.3, "keep_alive": 1.0}
    with serve_in_background(builder(echo, **limits)) as address:
        yield address


def is_refusal(answer: Answer, status: int, kind: str) -> bool:
    """Say whether an answer is the error that every door gives: JSON with message, type and id, and no traceback."""
    body = answer.json
    assert answer.headers["content-type"] == "application/json"
    assert body["id"] == answer.headers["x-request-id"]
    assert body["error"]
    assert "Traceback" not in body["error"]
    return (answer.status, body["type"]) == (status, kind)


def memory() -> int:
    """Return the bytes of memory that this process holds."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("this system does not tell how much memory a process holds")
    return int(statm.read_text().split()[1]) * 4096


def works(address: str) -> bool:
    return ask(address, post("[1]")).json == [1]


def test_broken_json_is_the_clients_fault_and_the_connection_goes_on(address):
    with Wire(address) as wire:
        answer = wire.ask(post('{"a": '))
        assert is_refusal(answer, 400, "BadEvent")
        assert "line 1" in answer.json["error"]
        assert wire.ask(post("[2]")).json == [2]


def test_a_wrong_type_for_the_step_is_an_error_answer():
    with serve_in_background(builder(lambda body: body["a"] + 1)) as address, Wire(address) as wire:
        assert wire.ask(post('"text"')).status == 500
        assert wire.ask(post('{"a": 1}')).json == 2


def test_a_body_whose_length_is_too_large_is_refused_before_it_is_sent(address):
    with Wire(address) as wire:
        wire.send(post(b"", content_length="1001"))
        answer = wire.read()
        assert is_refusal(answer, 413, "TooLarge")
        assert answer.headers["connection"] == "close"
        assert wire.closed()


def test_a_client_that_sends_a_huge_body_all_the_same_sees_the_refusal(address):
    with Wire(address) as wire:
        wire.send(post(b"", content_length="50000000"))
        try:
            for _ in range(100):
                wire.send(b"x" * 50_000)
        except OSError:
            pass
        assert is_refusal(wire.read(), 413, "TooLarge")
    assert works(address)


def test_chunks_are_counted_while_they_come(address):
    with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%b\r\n" % (600, b"x" * 600)
        wire.send(chunk)
        assert is_refusal(wire.ask(chunk), 413, "TooLarge")
        assert wire.closed()


def test_what_is_more_than_the_length_says_is_another_request(address):
    with Wire(address) as wire:
        wire.send(post("[1] GARBAGE", content_length="3"))
        assert wire.read().json == [1]
        assert is_refusal(wire.read(), 400, "BadRequest")
        assert wire.closed()


def test_half_a_body_and_then_nothing_more_ends_without_an_answer(address):
    with Wire(address) as wire:
        wire.send(post(b"[1", content_length="100"))
    assert works(address)


def test_unknown_paths_belong_to_the_graph(address):
    assert ask(address, post("[3]", "/no/such/path")).json == [3]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_methods_that_no_graph_serves(address, method):
    answer = ask(address, f"{method} /x HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    assert is_refusal(answer, 405, "MethodNotAllowed")
    assert "POST" in answer.headers["allow"]


def test_encoded_bodies_are_refused_with_what_would_be_read(address):
    answer = ask(address, post(b"\x1f\x8b", content_encoding="gzip"))
    assert is_refusal(answer, 415, "UnsupportedMediaType")
    assert answer.headers["accept-encoding"] == "identity"


def test_an_address_can_be_too_long(address):
    assert is_refusal(ask(address, post(path="/" + "x" * 20_000)), 414, "UriTooLong")


def test_an_expectation_is_met_before_the_body_comes(address):
    with Wire(address) as wire:
        wire.send(post(b"", expect="100-continue", content_length="3"))
        assert wire.read().status == 100
        assert wire.ask(b"[1]").json == [1]


def test_an_expectation_is_refused_where_the_body_would_be(address):
    answer = ask(address, post(b"", expect="100-continue", content_length="5000"))
    assert is_refusal(answer, 413, "TooLarge")
    assert is_refusal(ask(address, post(expect="coffee")), 417, "ExpectationFailed")


# Slow clients


def test_headers_that_come_too_slowly(address):
    with Wire(address) as wire:
        begun = time.monotonic()
        wire.send(b"POST / HTTP/1.1\r\nhost: te")
        assert is_refusal(wire.read(), 408, "RequestTimeout")
        assert wire.closed()
        assert time.monotonic() - begun < 3


def test_a_header_a_moment_does_not_keep_a_connection(address):
    with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\n")
        until = time.monotonic() + 5
        try:
            while time.monotonic() < until:
                wire.send(b"x-a: b\r\n")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() < until
        assert is_refusal(wire.read(), 408, "RequestTimeout")


def test_a_body_that_comes_too_slowly(address):
    with Wire(address) as wire:
        wire.send(post(b"[1", content_length="10"))
        assert is_refusal(wire.read(), 408, "RequestTimeout")
        assert wire.closed()


def test_an_idle_connection_is_closed_without_a_word(address):
    with Wire(address) as wire:
        assert wire.ask(post()).status == 200
        assert wire.closed()


def test_a_client_that_does_not_read_is_dropped():
    big = "x" * 5_000_000
    with serve_in_background(builder(lambda body: big, body_timeout=0.3)) as address, Wire(address) as wire:
        try:
            for _ in range(200):
                wire.send(GET * 10)
                time.sleep(0.01)
        except OSError:
            return
        raise AssertionError("the server went on writing for a client that does not read")


# Floods


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"x-%d: 1\r\n" % number for number in range(200)),
        b"x: 1\r\n" * 200,
        b"x-long: " + b"y" * 70_000 + b"\r\n",
    ],
    ids=["many", "many of one name", "long"],
)
def test_floods_of_headers(address, flood):
    with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nhost: test\r\n" + flood + b"\r\n")
        assert is_refusal(wire.read(), 431, "HeadersTooLarge")
        assert wire.closed()


def test_a_header_without_end(address):
    with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nx-endless: ")
        try:
            for _ in range(100):
                wire.send(b"y" * 10_000)
        except OSError:
            pass
        assert is_refusal(wire.read(), 431, "HeadersTooLarge")


def test_a_trailer_without_end(address):
    with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\nx: ")
        try:
            for _ in range(100):
                wire.send(b"y" * 10_000)
        except OSError:
            pass
        assert is_refusal(wire.read(), 431, "HeadersTooLarge")


def test_a_trailer_changes_nothing():
    def tell(event):
        event.body = dict(event.headers)
        return event

    head = b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\nx-user: me\r\n\r\n"
    with serve_in_background(builder(tell, full_event=True)) as address:
        answer = ask(address, head + b"0\r\nx-user: admin\r\nx-new: 1\r\n\r\n")
    assert answer.json["x-user"] == "me"
    assert "x-new" not in answer.json


# Smuggling: what two servers in a row could read as different requests is not read at all


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 3\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 3",
        b"content-length: 3\r\ncontent-length: 4",
        b"content-length: +3",
        b"content-length: 3, 3",
        b"content-length : 3",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b" transfer-encoding: chunked",
        b"x: 1\n content-length: 3",
        b"x: a\x00b",
    ],
    ids=lambda head: head.decode().replace("\r\n", " + "),
)
def test_requests_with_two_readings_are_refused(address, head):
    with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: test\r\n" + head + b"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
        answer = wire.read()
        assert is_refusal(answer, 400, "BadRequest")
        assert wire.closed()


@pytest.mark.parametrize(
    "bad", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_not_http_gets_an_answer_and_the_end(address, bad):
    with Wire(address) as wire:
        wire.send(bad)
        assert is_refusal(wire.read(), 400, "BadRequest")
        assert wire.closed()


@given(data=st.binary(min_size=1, max_size=300), cut=st.integers(0, 300))
def test_no_bytes_harm_the_server(address, data, cut):
    with Wire(address, timeout=5) as wire:
        try:
            wire.send(data[:cut])
            wire.send(data[cut:])
        except OSError:
            pass
    with Wire(address) as wire:
        assert wire.ask(post("[1]")).json == [1]


@given(cuts=st.lists(st.integers(1, 200), max_size=6))
def test_a_request_means_the_same_however_it_is_cut(address, cuts):
    request = post('{"a": [1, 2, 3]}', x_request_id="cut") + post("[4]")
    places = sorted({0, len(request), *(cut for cut in cuts if cut < len(request))})
    with Wire(address) as wire:
        for begin, end in itertools.pairwise(places):
            wire.send(request[begin:end])
        first, second = wire.read(), wire.read()
    assert (first.json, first.headers["x-request-id"], second.json) == ({"a": [1, 2, 3]}, "cut", [4])


# One connection, many requests


def test_pipelined_requests_are_answered_in_order():
    async def wait(body):
        await asyncio.sleep(0.02 * (3 - body % 4))
        return body

    with serve_in_background(builder(wait)) as address, Wire(address) as wire:
        wire.send(b"".join(post(str(number)) for number in range(12)))
        assert [wire.read().json for _ in range(12)] == list(range(12))


def test_a_flood_of_pipelined_requests_is_answered_whole(address):
    with Wire(address) as wire:
        sender = threading.Thread(target=wire.send, args=(b"".join(post(str(n)) for n in range(3000)),))
        sender.start()
        assert [wire.read().json for _ in range(3000)] == list(range(3000))
        sender.join()


def test_what_comes_before_a_broken_request_is_answered(address):
    with Wire(address) as wire:
        wire.send(post("[1]") + post("[2]") + b"NONSENSE\r\n\r\n" + post("[3]"))
        assert [wire.read().json, wire.read().json] == [[1], [2]]
        assert is_refusal(wire.read(), 400, "BadRequest")
        assert wire.closed()


def test_a_client_decides_when_the_connection_ends(address):
    with Wire(address) as wire:
        answer = wire.ask(post("[1]", connection="close"))
        assert answer.headers["connection"] == "close"
        assert wire.closed()
    with Wire(address) as wire:
        assert wire.ask(b"GET / HTTP/1.0\r\n\r\n").headers["connection"] == "close"
        assert wire.closed()


def test_a_wish_for_another_protocol_is_answered_in_this_one(address):
    with Wire(address) as wire:
        for body in ("[1]", "[2]"):
            answer = wire.ask(post(body, connection="Upgrade, HTTP2-Settings", upgrade="h2c", http2_settings="AAA"))
            assert (answer.status, answer.body.decode()) == (200, body)
        wire.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n") + post("[3]"))
        assert (wire.read().json, wire.read().json) == (None, [3])


def test_a_whole_url_is_an_address_too():
    def tell(event):
        event.body = event.path
        return event

    with serve_in_background(builder(tell, full_event=True)) as address:
        assert ask(address, post(path="http://test/a/b?c=1")).body == b"/a/b"


# Clients that leave


def test_a_client_that_leaves_stops_what_ran_for_it():
    stopped = threading.Event()
    begun = threading.Event()

    async def wait(body):
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.set()
            raise

    with serve_in_background(builder(wait, max_in_flight=1)) as address:
        with Wire(address) as wire:
            wire.send(post())
            assert begun.wait(5)
        assert stopped.wait(5)


def test_clients_that_leave_leave_nothing_behind():
    async def wait(body):
        await asyncio.sleep(body["seconds"])
        return body

    large = json.dumps({"seconds": 30, "text": "x" * 20_000})

    def leave(times: int) -> None:
        for number in range(times):
            with Wire(address) as wire:
                wire.send(post(large) if number % 2 else post(large)[:10_000])

    with serve_in_background(builder(wait)) as address:
        leave(200)
        before = memory()
        leave(2000)
        with Wire(address) as wire:
            assert wire.ask(post('{"seconds": 0}')).status == 200
        grown = memory() - before
    assert grown < 16 * 1024 * 1024, "2,000 bodies of 20 kB would be 40 MB"
