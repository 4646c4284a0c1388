"""Streams of answers over HTTP (design, R10), through our own server and as an ASGI app under another one."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from tests.serve.served import builder

from servegraph.serve.asgi import make_app
from servegraph.serve.http import serve_in_background


@contextmanager
def under_uvicorn(build):
    config = uvicorn.Config(make_app(build), port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)


doors = pytest.mark.parametrize("door", [serve_in_background, under_uvicorn], ids=["own", "uvicorn"])


def count(body):
    for number in range(body):
        yield {"n": number}


async def slowly(body):
    for number in range(3):
        yield f"piece {number}\n"
        await asyncio.sleep(0.05)


def breaking(body):
    yield body
    raise ValueError("in the middle")


def early(body):
    raise ValueError("before the first")
    yield


@doors
def test_chunks_are_lines_of_json(door):
    with door(builder(count)) as address:
        response = httpx.post(address, json=3)
        assert response.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line) for line in response.text.splitlines()] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert response.headers["x-request-id"]


@doors
def test_chunks_are_server_sent_events_where_the_client_asks_for_them(door):
    with door(builder(count)) as address:
        response = httpx.post(address, json=2, headers={"accept": "text/event-stream"})
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.text == 'data: {"n":0}\n\ndata: {"n":1}\n\n'


@doors
def test_chunks_come_as_they_are_made(door):
    with door(builder(slowly)) as address, httpx.stream("POST", address, json=1) as response:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        times = [(piece, time.monotonic()) for piece in response.iter_text() if piece]
        assert "".join(piece for piece, _ in times) == "piece 0\npiece 1\npiece 2\n"
        assert times[-1][1] - times[0][1] >= 0.05


@doors
def test_a_failure_before_the_first_chunk_is_an_ordinary_error(door):
    with door(builder(early)) as address:
        response = httpx.post(address, json=1)
        assert (response.status_code, response.json()["error"]) == (500, "before the first")


@doors
def test_a_failure_after_the_first_chunk_is_the_last_event_or_line(door):
    with door(builder(breaking)) as address:
        events = httpx.post(address, json={"a": 1}, headers={"accept": "text/event-stream"}).text
        first, last = events.strip().split("\n\n")
        assert first == 'data: {"a":1}'
        assert last.startswith("event: error\ndata: ")
        assert json.loads(last.partition("data: ")[2])["error"] == "in the middle"
        lines = httpx.post(address, json={"a": 1}).text.splitlines()
        assert json.loads(lines[1])["type"] == "ValueError"


@doors
def test_raw_pieces_that_break_off_are_not_taken_for_the_whole(door, caplog):
    with door(builder(breaking)) as address, pytest.raises(httpx.RemoteProtocolError):
        httpx.post(address, json="text")


@doors
def test_an_empty_stream_is_an_empty_answer(door):
    with door(builder(count)) as address:
        response = httpx.post(address, json=0)
        assert (response.status_code, response.content) == (200, b"")


@doors
@pytest.mark.parametrize("is_async", [True, False])
def test_the_generator_ends_when_the_client_leaves(door, is_async):
    ended = threading.Event()

    def forever(body):
        try:
            while True:
                yield "x" * 1000
        finally:
            ended.set()

    async def forever_async(body):
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(0)
        finally:
            ended.set()

    built = []
    build = builder(forever_async if is_async else forever)

    def build_once():
        built.append(build())
        return built[0]

    with door(build_once) as address:
        with httpx.stream("POST", address, json=1) as response:
            next(response.iter_bytes())
        assert ended.wait(5)
        assert httpx.get(f"{address.rstrip(chr(47))}/healthz").status_code == 200
        end = time.monotonic() + 5
        while built[0].in_flight and time.monotonic() < end:
            time.sleep(0.01)
        assert built[0].in_flight == 0


def test_a_slow_reader_slows_the_generator_and_costs_no_memory():
    made = []

    def many(body):
        for number in range(1_000_000):
            made.append(number)
            yield b"x" * 1000

    with serve_in_background(builder(many)) as address, httpx.stream("POST", address, json=1) as response:
        next(response.iter_raw(1000))
        time.sleep(0.5)
        assert len(made) < 20_000  # what the sockets and one buffer hold, not a million


@doors
def test_health_is_answered_while_a_stream_goes_on(door):
    def many(body):
        for _ in range(200_000):
            yield b"x"

    with door(builder(many)) as address, httpx.stream("POST", address, json=1) as response:
        pieces = response.iter_raw()
        next(pieces)
        before = time.monotonic()
        assert httpx.get(f"{address.rstrip(chr(47))}/healthz").status_code == 200
        assert time.monotonic() - before < 2
