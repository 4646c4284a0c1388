"""Steps and models that go wrong, each in one way."""

from __future__ import annotations

import asyncio
import sys
import threading

import servegraph
from servegraph.serving import V2ModelServer


def same(body):
    return body


def buggy(body):
    raise ValueError("the oven is cold")


def silent(body):
    raise ValueError


def without_key(body):
    return body["price"]


def particular(body):
    raise servegraph.BadEvent("a quantity is more than 0")


class OutOfStock(Exception):
    status_code = 409


class Teapot(Exception):
    status_code = 200


def with_status(body):
    raise OutOfStock("no apples are left")


def with_odd_status(body):
    raise Teapot("a failure is no success")


def leaving(body):
    sys.exit(1)


async def slow(body):
    await asyncio.sleep(60)


def no_event(event):
    return event.body


def with_lock(body):
    return {"lock": threading.Lock()}


def odd_status(event):
    return servegraph.Response("fine", 700)


def odd_header(event):
    return servegraph.Response("fine", headers={"x-note": "one\nline too many"})


def unwritable(body):
    return {"rows": [1, object()]}


def number(body):
    return float(body)


class Chooser:
    """Sends every event to a step that is not there."""

    def select_outlets(self, body):
        return ["aple"]


class Held:
    """Holds the event it gets until it is let go."""

    def __init__(self, entered, go):
        self.entered = entered
        self.go = go

    def do(self, body):
        self.entered.set()
        self.go.wait(30)
        return body


class Doubler(V2ModelServer):
    """The model that works."""

    def load(self):
        self.model = 2

    def predict(self, request):
        return [self.model * value for value in request["inputs"]]


class Crashing(Doubler):
    def predict(self, request):
        raise RuntimeError("the weights are gone")


class Loading(Doubler):
    """Is loading until it is told to go on, and then fails where it is told to."""

    def load(self):
        self.get_param("go").wait(30)
        if self.get_param("fails", False):
            raise OSError("the disk is full")
        super().load()
