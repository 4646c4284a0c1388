import functools

import pytest

from servegraph.context import Context
from servegraph.engine.bind import build, find, is_async
from servegraph.engine.names import Names
from servegraph.errors import GraphError
from servegraph.graph.live import Live
from servegraph.graph.spec import RouterSpec, TaskSpec


class Adder:
    def __init__(self, add, name=None, context=None):
        self.add, self.name, self.context = add, name, context

    def do(self, body):
        return body + self.add

    def other(self, body):
        return body - self.add


class Whole:
    def do_event(self, event):
        return event


class Open:
    def __init__(self, **given):
        self.given = given

    def do(self, body):
        return body


class Nothing:
    pass


class Failing:
    def __init__(self):
        raise TypeError("inside")

    def do(self, body):
        return body


class Patient:
    def __init__(self, retries, timeout=None):
        self.retries, self.timeout = retries, timeout

    async def do(self, body):
        return body


def scaled(body, factor=1, context=None):
    return body * factor, context


def two(first, second):
    return first


def faults_of(spec, live=None, **names):
    faults = []
    found = find("s", spec, Names([names or globals()], live), faults)
    assert (found is None) == bool(faults)
    return [(fault.code, fault.message) for fault in faults]


def bound(spec, live=None, context=None):
    faults = []
    found = find("r/s", spec, Names([globals()], live), faults)
    assert not faults
    return build(found, context or Context())


def test_a_constructor_gets_its_arguments_and_what_it_names():
    context = Context()
    step = bound(TaskSpec(class_name="Adder", class_args={"add": 2}), context=context)
    assert (step.owner.add, step.owner.name, step.owner.context) == (2, "s", context)
    assert step.call(1) == 3


def test_an_open_constructor_gets_name_and_context_and_only_what_was_set():
    assert set(bound(TaskSpec(class_name="Open")).owner.given) == {"name", "context"}
    step = bound(TaskSpec(class_name="Open", input_path="a", full_event=True, class_args={"x": 1}))
    assert set(step.owner.given) == {"name", "context", "input_path", "full_event", "x"}


def test_an_option_goes_to_a_constructor_that_names_it():
    step = bound(TaskSpec(class_name="Patient", retries=3, timeout=1.5))
    assert (step.owner.retries, step.owner.timeout) == (3, 1.5)
    assert {"retries", "timeout"} <= step.kept
    assert step.is_async


def test_do_event_gets_the_event_do_the_body_and_a_named_method_the_body():
    assert bound(TaskSpec(class_name="Whole")).whole
    assert not bound(TaskSpec(class_name="Open")).whole
    assert bound(TaskSpec(class_name="Open", full_event=True)).whole
    assert bound(TaskSpec(class_name="Adder", class_args={"add": 2}, handler="other")).call(5) == 3


def test_a_function_gets_its_context_and_its_keywords():
    context = Context()
    step = bound(TaskSpec(handler="scaled", class_args={"factor": 3}), context=context)
    assert step.call(2) == (6, context)
    assert step.owner is None


def test_a_bound_method_belongs_to_its_instance():
    adder = Adder(1)
    live = Live(names={"adder.do": adder.do})
    assert bound(TaskSpec(handler="adder.do"), live).owner is adder


def test_a_live_instance_is_used_as_it_is():
    adder = Adder(5)
    step = bound(TaskSpec(class_name="Adder"), Live(instances={"r/s": adder}))
    assert step.owner is adder


def test_arguments_with_a_leading_underscore_are_functions_by_name():
    step = bound(TaskSpec(class_name="storey.Map", class_args={"_fn": "(event + 1)"}))
    assert step.call(1) == 2


@pytest.mark.parametrize(
    ("spec", "code", "told"),
    [
        (TaskSpec(class_name="Addr"), "class", "did you mean 'Adder'"),
        (TaskSpec(class_name="Adder", class_args={"ad": 1}), "keyword", "no argument 'ad': .* did you mean 'add'"),
        (TaskSpec(class_name="Adder"), "keyword", "missing a required argument: 'add'"),
        (
            TaskSpec(class_name="Adder", class_args={"add": 1}, handler="othr"),
            "handler",
            "no method 'othr'; did you mean 'other'",
        ),
        (TaskSpec(class_name="Nothing"), "handler", "neither do"),
        (TaskSpec(class_name="Whole", input_path="a"), "path", "gets the whole event"),
        (TaskSpec(handler="scaledd"), "handler", "did you mean 'scaled'"),
        (TaskSpec(handler="scaled", class_args={"facto": 1}), "keyword", "did you mean 'factor'"),
        (TaskSpec(handler="two"), "keyword", "missing a required argument: 'second'"),
        (TaskSpec(class_name="storey.Map", class_args={"_fn": "nowhere"}), "handler", "_fn: 'nowhere' was not found"),
        (RouterSpec(class_name="Adder", class_args={"add": 1}), "class", "is not a router"),
    ],
)
def test_what_is_wrong_is_a_fault(spec, code, told):
    import re

    ((found_code, message),) = faults_of(spec)
    assert found_code == code
    assert re.search(told, message), message


def test_a_constructor_that_fails_is_named_with_its_own_error_as_cause():
    with pytest.raises(GraphError, match="Failing could not be built: TypeError: inside") as caught:
        bound(TaskSpec(class_name="Failing"))
    assert isinstance(caught.value.__cause__, TypeError)


async def coroutine(body):
    return body


class AsyncCallable:
    async def __call__(self, body):
        return body


@pytest.mark.parametrize(
    ("function", "expected"),
    [(coroutine, True), (functools.partial(coroutine), True), (AsyncCallable(), True), (scaled, False), (len, False)],
)
def test_async_functions_are_known_in_every_disguise(function, expected):
    assert is_async(function) is expected
