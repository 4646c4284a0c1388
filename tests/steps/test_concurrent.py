"""ConcurrentExecution: several events at once, in order, in every mechanism; failures, retries, paths, contexts."""

import asyncio
import functools
import os
import signal
import threading
import time

import pytest
from tests.engine.graphs import flow, mock

from servegraph import new_function
from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.errors import GraphError, ServerError
from servegraph.events import Event
from servegraph.graph.spec import from_dict
from servegraph.pools.process import WorkerDied
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings
from servegraph.storey import ConcurrentExecution

MECHANISMS = ("asyncio", "threading", "thread_pool", "multiprocessing", "process_pool", "dedicated_process", "naive")
mechanisms = pytest.mark.parametrize("mechanism", MECHANISMS)
quick_three = pytest.mark.parametrize("mechanism", ["asyncio", "threading", "multiprocessing"])


def step(mechanism=None, processor="work", after=(), responder=True, **options):
    """Return a step as data; options that are the step's own stand beside the arguments of its class."""
    ours = ("input_path", "result_path", "full_event", "timeout", "retries", "backoff_factor", "max_in_flight")
    arguments = {"_event_processor": processor, "concurrency_mechanism": mechanism}
    arguments |= {key: options.pop(key) for key in list(options) if key not in ours}
    return {"class_name": "storey.ConcurrentExecution", "class_args": arguments, "after": after,
            "responder": responder, **options}  # fmt: skip


def answers(graph, bodies, settings=None, **names):
    """Send all bodies at once and return the responses in the order in which they came, as ``(place, response)``."""

    async def main():
        found = Names([names])
        server = Server(compile_graph(from_dict(graph), found, Context(is_mock=True)), settings, names=found)
        await server.start()
        came = []

        async def ask(place, body):
            came.append((place, await server.handle(Event(body))))

        try:
            await asyncio.wait_for(asyncio.gather(*[ask(*each) for each in enumerate(bodies)]), 60)
            await server.wait_for_completion()
        finally:
            await server.stop()
        return came

    return asyncio.run(main())


def add(body):
    return body + 1


async def add_soon(body):
    await asyncio.sleep(0.001)
    return body + 1


class Adder:
    def __init__(self, add):
        self.number = add

    def add(self, body):
        return body + self.number


@mechanisms
@pytest.mark.parametrize("processor", [add, add_soon, Adder(1).add, lambda body: body + 1, functools.partial(int.__add__, 1)],
                         ids=["sync", "async", "method", "lambda", "partial"])  # fmt: skip
def test_every_mechanism_runs_every_kind_of_function(mechanism, processor):
    with mock(flow("async", a=step(mechanism)), work=processor) as server:
        assert [server.test(body=number) for number in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("engine", ["sync", "async"])
@quick_three
def test_it_works_on_both_engines(engine, mechanism):
    with mock(flow(engine, a=step(mechanism)), work=add) as server:
        assert server.test(body=1) == 2


def test_a_function_that_returns_something_to_await_is_awaited():
    with mock(flow("async", a=step()), work=lambda body: add_soon(body)) as server:
        assert server.test(body=1) == 2


async def later_first(body):
    await asyncio.sleep(0.02 * (5 - body))
    return body


def later_first_in_a_thread(body):
    time.sleep(0.02 * (5 - body))
    return body


@pytest.mark.parametrize(
    ("mechanism", "processor"),
    [("asyncio", later_first), ("threading", later_first_in_a_thread), ("multiprocessing", later_first_in_a_thread)],
)
def test_events_leave_in_the_order_in_which_they_came(mechanism, processor):
    came = answers(flow("async", a=step(mechanism)), range(5), work=processor)
    assert [response.body for _, response in came] == [0, 1, 2, 3, 4]
    assert [place for place, _ in came] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", [1, 3, None])
def test_at_most_max_in_flight_run_at_once_and_that_many_do(limit):
    running, most = 0, 0

    async def work(body):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return body

    answers(flow("async", a=step(max_in_flight=limit)), range(30), work=work)
    assert most == (limit or 8)


def test_at_most_max_in_flight_threads_are_at_work():
    running, most, lock = 0, 0, threading.Lock()

    def work(body):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return body

    answers(flow("async", a=step("threading", max_in_flight=3)), range(20), work=work)
    assert most == 3


def test_processes_are_as_many_as_may_be_in_flight():
    came = answers(
        flow("async", a=step("multiprocessing", max_in_flight=2)),
        range(20),
        work=lambda body: time.sleep(0.01) or os.getpid(),
    )
    assert len({response.body for _, response in came}) <= 2
    came = answers(flow("async", a=step("dedicated_process")), range(20), work=lambda body: os.getpid())
    assert len({response.body for _, response in came}) == 1


def fail_on_three(body):
    if body == 3:
        raise ValueError("three")
    time.sleep(0.005)
    return body


@quick_three
def test_an_event_that_fails_does_not_disturb_the_others(mechanism):
    came = dict(answers(flow("async", a=step(mechanism)), range(8), work=fail_on_three))
    assert [came[place].body for place in range(8) if place != 3] == [0, 1, 2, 4, 5, 6, 7]
    assert came[3].status_code == 500
    assert (came[3].body["type"], came[3].body["step"]) == ("ValueError", "a")


@quick_three
def test_an_event_that_fails_goes_to_its_handler(mechanism):
    graph = flow(
        "async",
        a=step(mechanism) | {"on_error": "catch"},
        catch={"kind": "error_step", "handler": "keep", "full_event": True},
    )

    def keep(event):
        event.body = {"error": str(event.error), "from": event.origin_state, "body": event.body}
        return event

    with mock(graph, work=fail_on_three, keep=keep) as server:
        assert server.test(body=3) == {"error": "three", "from": "a", "body": 3}
        assert server.test(body=4) == 4


def test_a_worker_that_crashes_costs_its_own_event_and_names_the_step():
    def work(body):
        if body == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return body

    came = dict(answers(flow("async", predict=step("multiprocessing", max_in_flight=2)), range(8), work=work))
    assert [came[place].body for place in range(8) if place != 3] == [0, 1, 2, 4, 5, 6, 7]
    assert came[3].status_code == 500
    assert (came[3].body["type"], came[3].body["step"]) == (WorkerDied.__name__, "predict")
    assert "was killed by SIGKILL while it worked on this event" in came[3].body["error"]


def test_with_retries_an_event_whose_worker_crashed_goes_to_another(tmp_path):
    def work(body):
        if not (tmp_path / "crashed").exists():
            (tmp_path / "crashed").touch()
            os._exit(1)
        return body

    graph = flow("async", a=step("multiprocessing", retries=1, backoff_factor=0, max_in_flight=1))
    with mock(graph, work=work) as server:
        assert server.test(body=7) == 7


def test_retries_wait_twice_as_long_each_time_and_see_the_body_as_it_came(monkeypatch):
    waits, seen = [], []
    real = asyncio.sleep

    async def sleep(seconds, *rest):
        waits.append(seconds)
        await real(0, *rest)

    def work(body):
        seen.append(body)
        if len(seen) < 10:
            raise ValueError("not yet")
        return "done"

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with mock(flow("async", a=step("threading", retries=9, backoff_factor=3)), work=work) as server:
        assert server.test(body=1) == "done"
    assert [each for each in waits if each] == [3, 6, 12, 24, 48, 96, 120, 120, 120]
    assert seen == [1] * 10


def test_an_event_out_of_retries_fails_with_the_last_error():
    counter = iter(range(9))

    def work(body):
        raise ValueError(f"failure {next(counter)}")

    graph = flow("async", a=step("threading", retries=2, backoff_factor=0))
    with mock(graph, work=work) as server, pytest.raises(ServerError, match="failure 2"):
        server.test(body=1)


@mechanisms
def test_paths_say_what_part_of_the_body_it_works_on(mechanism):
    graph = flow("async", a=step(mechanism, input_path="in.x", result_path="out.y"))
    with mock(graph, work=add) as server:
        assert server.test(body={"in": {"x": 1}}) == {"in": {"x": 1}, "out": {"y": 2}}


@mechanisms
def test_the_whole_event_is_given_and_taken(mechanism):
    def work(event):
        event.body, event.key = event.body + len(event.path), "new"
        return event

    graph = flow(
        "async",
        a=step(mechanism, full_event=True, responder=False),
        b={"after": "a", "handler": "tell", "full_event": True, "responder": True},
    )

    def tell(event):
        event.body = (event.key, event.body)
        return event

    with mock(graph, work=work, tell=tell) as server:
        assert server.test("/abc", body=1) == ("new", 5)


@mechanisms
def test_the_context_is_the_second_argument(mechanism):
    def work(body, anything):
        return f"{anything.name} {body}"

    async def awaited(body, anything):
        return f"{anything.name} {body}"

    for processor in (work, awaited):
        with mock(flow("async", a=step(mechanism, pass_context=True)), work=processor) as server:
            assert server.test(body=1) == "test 1"


@quick_three
def test_a_generator_streams(mechanism):
    def work(body):
        yield from range(body)

    with mock(flow("async", a=step(mechanism)), work=work) as server:
        assert list(server.test(body=3)) == [0, 1, 2]
        assert list(server.test(body=2)) == [0, 1]


def test_an_instance_may_be_given_instead_of_a_name():
    function = new_function("f", kind="serving")
    function.set_topology("flow").to(
        ConcurrentExecution(Adder(5).add, "multiprocessing", max_in_flight=1), "a"
    ).respond()
    with function.to_mock_server() as server:
        assert server.test(body=1) == 6


def test_a_call_that_takes_too_long_is_abandoned_and_the_step_goes_on():
    graph = flow("async", a=step("multiprocessing", timeout=0.3, max_in_flight=2))
    came = dict(answers(graph, [3600, 0, 0, 0], work=lambda body: time.sleep(body) or "done"))
    assert came[0].status_code == 504
    assert [came[place].body for place in (1, 2, 3)] == ["done"] * 3


def test_a_deadline_ends_what_a_caller_waits_for_in_a_process():
    graph = flow("async", a=step("multiprocessing", max_in_flight=2))
    settings = Settings(request_timeout=0.5)
    with mock(graph, settings=settings, work=lambda body: time.sleep(body) or "done") as server:
        assert server.test(body=3600, silent=True).status_code == 504
        assert server.test(body=0) == "done"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mechanism": "multiprocesing"}, "did you mean 'multiprocessing'"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"retries": -1}, "retries"),
        ({"backoff_factor": -1}, "backoff_factor"),
        ({"max_in_flght": 3}, "has no argument 'max_in_flght'"),
        ({"processor": "wrok"}, "did you mean 'work'"),
    ],
)
def test_what_cannot_be_is_a_definition_error(options, told):
    with pytest.raises(GraphError, match=told):
        mock(flow("async", a=step(**options)), work=add)


def test_what_cannot_be_carried_to_a_process_is_a_definition_error_that_names_the_step():
    lock = threading.Lock()
    with pytest.raises(GraphError, match=r"step 'a': it cannot run in a process: .*lock"):
        mock(flow("async", a=step("multiprocessing")), work=lambda body: lock)


# run_in="process" on any step


def test_any_step_can_run_in_a_process():
    class Tagger:
        def __init__(self, tag, context):
            self.tag, self.context = tag, context

        def do(self, body):
            return {**body, "tag": self.tag, "pid": os.getpid(), "name": self.context.name}

        def select_outlets(self, body):
            return [body["way"]]

    graph = flow(
        "async",
        a={"class_name": "Tagger", "class_args": {"tag": "t"}, "run_in": "process"},
        left={"after": "a", "handler": "(event | {'went': 'left'})"},
        right={"after": "a", "handler": "(event | {'went': 'right'})", "run_in": "process"},
        end={"after": ["left", "right"], "handler": "(event)", "responder": True},
    )
    with mock(graph, Tagger=Tagger) as server:
        answer = server.test(body={"way": "right"})
    assert (answer["went"], answer["tag"], answer["name"]) == ("right", "t", "test")
    assert answer["pid"] != os.getpid()


def test_an_instance_in_a_process_has_one_process_so_that_it_counts_right():
    class Counter:
        count = 0

        def do(self, body):
            self.count += 1
            return self.count

    graph = flow("async", a={"class_name": "Counter", "run_in": "process", "responder": True})
    came = answers(graph, range(20), Counter=Counter)
    assert sorted(response.body for _, response in came) == list(range(1, 21))


def test_a_router_in_a_process_is_a_definition_error():
    graph = flow("async", a={"kind": "router", "routes": {}, "run_in": "process", "responder": True})
    with pytest.raises(GraphError, match="a router cannot run in a process"):
        mock(graph)
