"""Every failure that only HTTP knows: bytes that are no request, limits of the wire, the paths of the door itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.failures import steps
from tests.failures.doors import Answer
from tests.serve.served import ask, post

import servegraph
from servegraph.function import ServingFunction
from servegraph.serve.http import serve_in_background


@dataclass(frozen=True)
class WireCase:
    """One failure: what it is called on the page, and the bytes that provoke it."""

    name: str
    data: bytes
    step: Callable[..., Any] = steps.same
    settings: dict[str, Any] = field(default_factory=dict)


def provoke(case: WireCase) -> Answer:
    """Return what the bytes of a case are answered over a connection of their own."""
    with serve_in_background(lambda: _function(case.step).build_server(**case.settings)) as address:
        answer = ask(address, case.data)
    return Answer(answer.status, answer.json, answer.headers.get("retry-after"))


def _function(step: Callable[..., Any]) -> ServingFunction:
    """Return a function with one step before a router of one model."""
    function = servegraph.new_function("wire")
    whole = step in (steps.odd_status, steps.odd_header)
    price = function.set_topology("flow").to(name="price", handler=step, full_event=whole or None).respond()
    price.to("*", "models").add_route("m1", class_name=steps.Doubler)
    return function


def _change(action: str, body: Any = None) -> bytes:
    return post(json.dumps(body if body is not None else {}), f"/v2/repository/models/{action}")


_GOOD = b"POST / HTTP/1.1\r\nhost: test\r\n"
_CHANGING = {"model_control": True}

WIRE_CASES = [
    WireCase("a body over `max_body`", post(b"[1, 2, 3]"), settings={"max_body": 4}),
    WireCase("a body in chunks over `max_body`", _GOOD + b"transfer-encoding: chunked\r\n\r\n9\r\n[1, 2, 3]\r\n0\r\n\r\n",
             settings={"max_body": 4}),
    WireCase("an encoded body", post(gzip.compress(b"{}"), content_encoding="gzip")),
    WireCase("a method that is not served", b"PURGE / HTTP/1.1\r\nhost: test\r\n\r\n"),
    WireCase("an expectation", post(expect="200-ok")),
    WireCase("a line that is no HTTP", b"GET / SPAM\r\n\r\n"),
    WireCase("an address over 16 kB", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: test\r\n\r\n"),
    WireCase("more than 100 headers", post(**{f"x_{number}": "1" for number in range(120)})),
    WireCase("headers over `max_headers`", post(x_long="a" * 3000), settings={"max_headers": 2000}),
    WireCase("headers that come too slowly", _GOOD, settings={"header_timeout": 0.1}),
    WireCase("a body that comes too slowly", _GOOD + b"content-length: 9\r\n\r\n[1,", settings={"body_timeout": 0.1}),
    WireCase("an answer that JSON cannot say", post(), steps.unwritable),
    WireCase("a step answers with a status that is none", post(), steps.odd_status),
    WireCase("a step sets a header that HTTP cannot carry", post(), steps.odd_header),
    WireCase("health asked with POST", post(path="/healthz")),
    WireCase("models changed without `model_control`", _change("m1/load")),
    WireCase("a model that is not there, loaded again", _change("m2/load"), settings=_CHANGING),
    WireCase("a model of a class that is not there", _change("m2/load", {"parameters": {"class_name": "storey.Mab"}}),
             settings=_CHANGING),
    WireCase("a change that is none", _change("m1/lode"), settings=_CHANGING),
    WireCase("`parameters` that are no object", _change("m2/load", {"parameters": [1]}), settings=_CHANGING),
    WireCase("the index of models asked with GET", b"GET /v2/repository/index HTTP/1.1\r\nhost: test\r\n\r\n"),
]  # fmt: skip
