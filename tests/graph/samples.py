"""What the tests of this folder build graphs of, and how they look at what a call refuses."""

import pytest

from servegraph.errors import GraphError

HOME = __name__


class Adder:
    def __init__(self, add=1, labels=None, hidden=None, name=None, context=None, full_event=False):
        self.add = add
        self.labels = labels
        self._hidden = hidden
        self.name = name
        self.context = context
        self.full_event = full_event

    def do(self, body):
        return body + self.add

    def twice(self, body):
        return body + 2 * self.add


class Chooser:
    def __init__(self, prefix="", routes=None):
        self.prefix = prefix
        self.routes = routes

    def attach(self, routes):
        self.routes = routes

    def select(self, event):
        return list(self.routes)

    def merge(self, event, answers):
        return event


def double(body):
    return body * 2


def raised(call, *args, **options):
    with pytest.raises(GraphError) as caught:
        call(*args, **options)
    (fault,) = caught.value.faults
    return fault.step, fault.code
