"""ParallelExecution: several runnables on one event, in every mechanism; selection, errors, batches, streams."""

import asyncio
import datetime
import os
import threading

import pytest
from tests.engine.graphs import flow, mock

from servegraph import new_function
from servegraph.errors import GraphError, ServerError
from servegraph.storey import ParallelExecution, ParallelExecutionRunnable

MECHANISMS = ("process_pool", "dedicated_process", "thread_pool", "asyncio", "naive")
mechanisms = pytest.mark.parametrize("mechanism", MECHANISMS)


class Add(ParallelExecutionRunnable):
    """Adds a number that it loads in init."""

    def __init__(self, name, number=1, **options):
        super().__init__(name, **options)
        self.number = number
        self.loaded = None

    def init(self):
        self.loaded = self.number

    def run(self, body, path, origin_name=None):
        if body == "fail":
            raise ValueError(f"{self.name} of {path}")
        if body == "pid":
            return os.getpid()
        return [each + self.loaded for each in body] if isinstance(body, list) else body + self.loaded

    async def run_async(self, body, path, origin_name=None):
        await asyncio.sleep(0)
        return self.run(body, path, origin_name)


class Count(ParallelExecutionRunnable):
    def run(self, body, path, origin_name=None):
        yield from range(body)


class CountSoon(ParallelExecutionRunnable):
    async def run_async(self, body, path, origin_name=None):
        for number in range(body):
            await asyncio.sleep(0)
            yield number


def served(*runnables, mechanism="naive", cls=ParallelExecution, after=None, **options):
    function = new_function("f", kind="serving")
    chosen = {each.name: mechanism if isinstance(mechanism, str) else mechanism[each.name] for each in runnables}
    step = function.set_topology("flow").to(cls(list(runnables), chosen, **options), "parallel")
    if after is not None:
        step = step.to(name="after", handler=after, full_event=True)
    step.respond()
    return function.to_mock_server()


@mechanisms
def test_the_result_of_a_single_runnable_is_the_body(mechanism):
    with served(Add("a", 5), mechanism=mechanism) as server:
        assert server.test(body=1) == 6


@mechanisms
def test_the_results_of_several_runnables_come_by_name(mechanism):
    with served(Add("a", 1), Add("b", 2), Add("c", 3), mechanism=mechanism) as server:
        assert server.test(body=1) == {"a": 2, "b": 3, "c": 4}


def test_each_runnable_has_its_own_mechanism():
    mechanism = {"a": "process_pool", "b": "dedicated_process", "c": "thread_pool", "d": "asyncio"}
    with served(*map(Add, mechanism), mechanism=mechanism) as server:
        pids = server.test(body="pid")
        assert server.test(body="pid") == pids
    assert len({pids["a"], pids["b"], os.getpid()}) == 3
    assert pids["c"] == pids["d"] == os.getpid()


def test_runnables_in_threads_run_side_by_side():
    meet = threading.Barrier(3, timeout=20)

    class Meet(ParallelExecutionRunnable):
        def run(self, body, path, origin_name=None):
            return meet.wait() is not None

    with served(Meet("a"), Meet("b"), Meet("c"), mechanism="thread_pool") as server:
        assert server.test(body=1) == {"a": True, "b": True, "c": True}


@pytest.mark.parametrize(("limits", "most"), [({"max_threads": 2}, 2), ({"pool_factor": 2, "max_threads": 3}, 3)])
def test_no_more_threads_are_at_work_than_allowed(limits, most):
    running, seen, lock = 0, [], threading.Lock()

    class Work(ParallelExecutionRunnable):
        def run(self, body, path, origin_name=None):
            nonlocal running
            with lock:
                running += 1
                seen.append(running)
            threading.Event().wait(0.01)
            with lock:
                running -= 1

    with served(*[Work(str(number)) for number in range(8)], mechanism="thread_pool", **limits) as server:
        server.test(body=1)
    assert max(seen) == most


def test_no_runnable_sees_what_another_does_to_the_body():
    class Append(ParallelExecutionRunnable):
        def run(self, body, path, origin_name=None):
            body.append(self.name)
            return list(body)

    with served(Append("a"), Append("b"), Append("c")) as server:
        assert server.test(body=[]) == {"a": ["a"], "b": ["b"], "c": ["c"]}


@mechanisms
def test_a_runnable_that_fails_fails_the_event_or_answers_with_its_error(mechanism):
    with served(Add("a", raise_exception=False), Add("b", raise_exception=False), mechanism=mechanism) as server:
        assert server.test("/x", body="fail") == {
            "a": {"error": "ValueError: a of /x"},
            "b": {"error": "ValueError: b of /x"},
        }
    with served(Add("a"), mechanism=mechanism) as server, pytest.raises(ServerError, match="a of /") as failed:
        server.test(body="fail")
    assert type(failed.value.__cause__) is ValueError


def test_a_step_may_select_runnables_and_change_the_event_first():
    class Chosen(ParallelExecution):
        def preprocess_event(self, event):
            event.body = event.body + 10
            return event

        def select_runnables(self, event):
            return {11: None, 12: ["b"], 13: [], 14: ["a", "a"], 15: ["c"], 16: "a", 17: [self.first]}[event.body]

    first = Add("a")
    Chosen.first = first
    with served(first, Add("b", 2), cls=Chosen) as server:
        assert server.test(body=1) == {"a": 12, "b": 13}
        assert server.test(body=2) == {"b": 14}
        assert server.test(body=3) is None
        assert server.test(body=7) == {"a": 18}
        for body, told in [(4, "twice"), (5, "the runnables are: a, b"), (6, "must return a list of names, not str")]:
            with pytest.raises(ServerError, match=told):
                server.test(body=body)


def metadata(event):
    event.body = event._metadata
    return event


def test_the_metadata_tells_when_each_began_and_how_long_it_took():
    with served(Add("a"), after=metadata) as server:
        flat = server.test(body=1)
    with served(Add("a"), Add("b"), after=metadata) as server:
        nested = server.test(body=1)
    assert set(nested) == {"a", "b"}
    for each in (flat, *nested.values()):
        assert type(each["microsec"]) is int
        began = datetime.datetime.fromisoformat(each["when"])
        assert abs(datetime.datetime.now(datetime.UTC) - began) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize("runnables", [1, 2])
def test_a_batch_of_events_is_dealt_out_by_position(runnables):
    def batch(event):
        event.body = [event.branch(number) for number in event.body]
        return event

    def bodies(event):
        event.body = [(each.body, "_metadata" in vars(each)) for each in event.body]
        return event

    function = new_function("f", kind="serving")
    step = ParallelExecution([Add("a"), Add("b", 2)][:runnables], {"a": "naive", "b": "thread_pool"})
    graph = function.set_topology("flow")
    graph.to(name="batch", handler=batch, full_event=True).to(step, "p").to(
        name="bodies", handler=bodies, full_event=True
    ).respond()
    with function.to_mock_server() as server:
        answer = server.test(body=[1, 2])
    assert answer == (
        [(2, True), (3, True)] if runnables == 1 else [({"a": 2, "b": 3}, True), ({"a": 3, "b": 4}, True)]
    )


@pytest.mark.parametrize(
    ("runnable", "mechanism"),
    [(Count, "naive"), (Count, "thread_pool"), (Count, "process_pool"), (CountSoon, "asyncio")],
)
def test_a_single_runnable_may_stream(runnable, mechanism):
    with served(runnable("a"), mechanism=mechanism) as server:
        assert list(server.test(body=3)) == [0, 1, 2]
    with (
        served(runnable("a"), runnable("b"), mechanism=mechanism) as server,
        pytest.raises(ServerError, match="only a single runnable can stream"),
    ):
        server.test(body=3)


@pytest.mark.parametrize(
    ("runnables", "mechanism", "told"),
    [
        ([], {}, "at least one runnable"),
        (["a", "a"], {"a": "naive"}, "same name: a, a"),
        (["a"], {}, "'a' has no mechanism"),
        (["a"], {"a": "asincio"}, "did you mean 'asyncio'"),
    ],
)
def test_what_cannot_be_is_told_at_once(runnables, mechanism, told):
    with pytest.raises(ValueError, match=told):
        ParallelExecution([Add(name) for name in runnables], mechanism)


def test_a_runnable_that_cannot_be_carried_is_a_definition_error_that_names_the_step():
    runnable = Add("a")
    runnable.lock = threading.Lock()
    with pytest.raises(GraphError, match=r"step 'parallel': it cannot run in a process: .*lock"):
        served(runnable, mechanism="process_pool")


def test_a_class_of_ones_own_can_be_named_in_a_graph():
    class Preset(ParallelExecution):
        def __init__(self, number, **options):
            super().__init__([Add("a", number)], {"a": "naive"}, **options)

    graph = flow("async", p={"class_name": "Preset", "class_args": {"number": 3}, "responder": True})
    with mock(graph, Preset=Preset) as server:
        assert server.test(body=1) == 4
