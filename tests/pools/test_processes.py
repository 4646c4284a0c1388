"""Worker processes: what travels, what comes back, what happens to those that crash, hang, leave or are left."""

import asyncio
import functools
import gc
import io
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from servegraph.context import Context
from servegraph.errors import GraphError, MissingExtra, NotReady, StepError
from servegraph.events import DROP, Event
from servegraph.pools import pickles, processes
from servegraph.pools.processes import ProcessStep, WorkerDied


@asynccontextmanager
async def pool(function, workers=1):
    step = ProcessStep(function, workers, "step")
    try:
        await asyncio.to_thread(step.start)
        yield step
    finally:
        await asyncio.to_thread(step.close)


def run(function, *bodies, workers=1):
    """Return what a pool makes of bodies, one after the other; an exception is an answer."""

    async def main():
        async with pool(function, workers) as step:
            return [await outcome(step, body) for body in bodies]

    return asyncio.run(main())


async def outcome(step, body):
    try:
        return await step(body)
    except Exception as error:
        return error


def double(body):
    return body * 2


def pid(_):
    return os.getpid()


class Refused(Exception):
    status_code = 409

    def __init__(self, reason, **details):
        super().__init__(reason)
        self.details = details


class Demanding(Exception):
    """Cannot be built again from its ``args``."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@dataclass
class Point:
    x: int


class Counter:
    def __init__(self, start):
        self.count = start

    def add(self, body):
        self.count += body
        return self.count


def test_a_function_runs_in_another_process():
    (answer,) = run(pid, None)
    assert answer != os.getpid()


def test_workers_are_started_once_and_stay():
    assert len(set(run(pid, *range(20)))) == 1


def test_no_more_calls_run_at_once_than_there_are_workers():
    async def main():
        async with pool(pid, 3) as step:
            return await asyncio.gather(*[step(None) for _ in range(60)])

    assert 1 <= len(set(asyncio.run(main()))) <= 3


def test_calls_of_several_workers_run_side_by_side(tmp_path):
    """Each waits for a file that the other writes."""

    def meet(name):
        (tmp_path / name).touch()
        until = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        return name

    async def main():
        async with pool(meet, 2) as step:
            return await asyncio.gather(step("one"), step("two"))

    assert asyncio.run(main()) == ["one", "two"]


def test_an_instance_is_carried_with_its_state_and_keeps_its_own():
    counter = Counter(10)
    assert run(counter.add, 1, 2) == [11, 13]
    assert counter.count == 10


def test_what_cannot_be_imported_is_carried_by_value():
    factor = 3

    class Scale:
        def __call__(self, body):
            return (lambda value: value * factor)(body)

    assert run(Scale(), 2) == [6]
    assert run(lambda body: body + factor, 2) == [5]
    assert run(eval("lambda event: event['x']", {}), {"x": 1}) == [1]


def test_a_module_that_only_exists_here_is_carried_by_value(monkeypatch):
    module = type(sys)("made_up_by_a_test")
    exec("rate = 2\nclass Money:\n    def __init__(self, sum): self.sum = sum\n"
         "def spend(body): return Money(body.sum / rate)", vars(module))  # fmt: skip
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (answer,) = run(module.spend, module.Money(10))
    assert type(answer) is module.Money
    assert answer.sum == 5


def test_instances_of_local_classes_come_back_as_what_they_are():
    @dataclass
    class Local:
        x: int

    (answer,) = run(lambda body: Local(body.x + 1), Local(1))
    assert answer == Local(2)


def test_async_functions_are_awaited_in_the_worker():
    async def add(body):
        await asyncio.sleep(0)
        return body + 1

    assert run(add, 1, 2) == [2, 3]


def test_clients_of_async_functions_live_on_in_one_loop():
    class Client:
        loop = None

        async def __call__(self, body):
            self.loop = self.loop or asyncio.get_running_loop()
            return self.loop is asyncio.get_running_loop()

    assert run(Client(), 1, 2) == [True, True]


def test_large_arrays_travel_both_ways():
    body = {"array": np.arange(12_500_000, dtype=np.float64), "name": "100 MB"}
    (answer,) = run(lambda body: {**body, "array": body["array"][::-1]}, body)
    assert answer["name"] == "100 MB"
    assert np.array_equal(answer["array"], body["array"][::-1])
    answer["array"][0] = 0  # and belong to who gets them


def test_a_large_body_does_not_stop_the_loop():
    body = np.zeros(100_000_000, dtype=np.uint8)

    async def main():
        gaps, last = [0.0], time.perf_counter()
        async with pool(len) as step:
            call = asyncio.ensure_future(step(body))
            while not call.done():
                await asyncio.sleep(0)
                gaps.append(time.perf_counter() - last)
                last = time.perf_counter()
            assert await call == len(body)
        return len(gaps)

    assert asyncio.run(main()) > 50


@pytest.mark.parametrize("body", [None, 0, "", {}, b"\0", (1, 2), float("inf"), "\N{SNOWMAN}", [[]] * 1000, Point(1)])
def test_bodies_of_any_kind_come_back_equal(body):
    assert run(lambda body: body, body) == [body]


def test_a_dropped_event_is_dropped():
    (answer,) = run(lambda body: DROP, 1)
    assert answer is DROP


def test_an_event_that_travels_whole_stays_the_same_event():
    def change(event):
        event.body, event.extra = event.body + 1, "seen"
        event.headers["x-from"] = "worker"
        return event

    event = Event(1, key="k", id="e1", headers={"X-A": "b"})
    (answer,) = run(change, event)
    assert answer is event
    assert (event.body, event.key, event.id, event.extra) == (2, "k", "e1", "seen")
    assert event.headers == {"x-a": "b", "x-from": "worker"}


def test_an_exception_comes_back_with_its_type_and_the_trace_of_the_worker():
    def fail(_):
        error = Refused("no")
        error.details["left"] = 3
        raise error

    (error,) = run(fail, 1)
    assert type(error) is Refused
    assert (str(error), error.status_code, error.details) == ("no", 409, {"left": 3})
    assert "in fail" in "".join(error.__notes__)


def test_an_exception_that_cannot_travel_comes_as_its_text():
    def fail(body):
        if body:
            raise Demanding(1, 2)
        error = ValueError("with a lock")
        error.lock = threading.Lock()
        raise error

    demanding, locked = run(fail, True, False)
    assert type(demanding) is StepError and str(demanding) == "Demanding: 1 and 2"
    assert type(locked) is StepError and str(locked) == "ValueError: with a lock"


def test_sys_exit_is_the_failure_of_an_event_and_the_worker_stays():
    def leave(body):
        if body == "exit":
            sys.exit(3)
        return os.getpid()

    before, error, after = run(leave, 1, "exit", 2)
    assert type(error) is StepError and "sys.exit()" in str(error)
    assert before == after


def test_bodies_and_results_that_cannot_travel_are_told_so():
    body, result = run(lambda body: threading.Lock(), threading.Lock(), 1)
    assert type(body) is StepError and "the body cannot be sent to a process" in str(body)
    assert type(result) is StepError and "cannot leave its process" in str(result)


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("os._exit(7)", "ended with exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("ctypes.string_at(0)", "was killed by SIGSEGV"),
    ],
)
def test_a_crash_fails_its_own_event_and_the_pool_goes_on(crash, told):
    def work(body):
        if body == "crash":
            exec(f"import ctypes, os, signal\n{crash}")
        return body

    async def main():
        async with pool(work, 2) as step:
            bodies = ["a", "crash", "b", "crash", "c", "d"]
            return await asyncio.gather(*[outcome(step, body) for body in bodies])

    answers = asyncio.run(main())
    assert [each for each in answers if isinstance(each, str)] == ["a", "b", "c", "d"]
    assert [type(each) for each in answers if not isinstance(each, str)] == [WorkerDied, WorkerDied]
    assert told in str(answers[1])


def test_a_worker_that_was_killed_while_it_had_nothing_to_do_is_replaced():
    async def main():
        async with pool(pid) as step:
            first = await step(None)
            os.kill(first, signal.SIGKILL)
            second = await outcome(step, None)
            if isinstance(second, WorkerDied):  # asked before its death was noticed
                second = await step(None)
            return first, second

    first, second = asyncio.run(main())
    assert isinstance(second, int) and second != first


def test_workers_that_cannot_start_again_refuse_instead_of_hanging(tmp_path):
    class Once:
        """Can be carried to a process only as long as there is a file."""

        def __call__(self, body):
            os._exit(1)

        def __setstate__(self, state):
            assert (tmp_path / "open").exists(), "closed"

        def __getstate__(self):
            return {"a": 1}

    async def main():
        (tmp_path / "open").touch()
        async with pool(Once()) as step:
            (tmp_path / "open").unlink()
            return await asyncio.wait_for(asyncio.gather(*[outcome(step, 1) for _ in range(3)]), 30)

    first, *others = asyncio.run(main())
    assert type(first) is WorkerDied
    assert all("cannot be started" in str(each) and "closed" in str(each) for each in others)


def test_a_cancelled_call_that_ends_soon_gives_its_worker_back():
    def work(body):
        time.sleep(body)
        return os.getpid()

    async def main():
        async with pool(work) as step:
            before = await step(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(step(0.3), 0.1)
            return before, await step(0)

    before, after = asyncio.run(main())
    assert before == after


def test_a_cancelled_call_that_goes_on_loses_its_worker(monkeypatch):
    monkeypatch.setattr(processes, "ABANDON_GRACE", 0.1)

    def work(body):
        time.sleep(body)
        return os.getpid()

    async def main():
        async with pool(work) as step:
            before = await step(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(step(3600), 0.1)
            return before, await asyncio.wait_for(step(0), 30)

    before, after = asyncio.run(main())
    assert before != after


def test_a_call_that_is_cancelled_while_it_waits_costs_nothing():
    async def main():
        async with pool(lambda body: time.sleep(0.2) or body) as step:
            first = asyncio.ensure_future(step(1))
            await asyncio.sleep(0)
            second, third = asyncio.ensure_future(step(2)), asyncio.ensure_future(step(3))
            await asyncio.sleep(0.01)
            second.cancel()
            return await first, await third, second.cancelled()

    assert asyncio.run(main()) == (1, 3, True)


def chunks(body):
    try:
        for number in range(body["count"]):
            if number == body.get("fail"):
                raise ValueError("no more")
            yield number
    finally:
        if "trace" in body:
            with open(body["trace"], "a") as file:
                file.write("closed")


async def async_chunks(body):
    for number in range(body["count"]):
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("function", [chunks, async_chunks])
def test_what_yields_streams_from_its_process(function):
    async def main():
        async with pool(function) as step:
            return [[chunk async for chunk in await step({"count": count})] for count in (3, 0, 2)]

    assert asyncio.run(main()) == [[0, 1, 2], [], [0, 1]]


def test_a_stream_that_fails_or_is_left_early_gives_its_worker_back(tmp_path):
    trace = tmp_path / "trace"

    async def main():
        async with pool(chunks) as step:
            failing = await step({"count": 5, "fail": 2})
            assert [await anext(failing), await anext(failing)] == [0, 1]
            with pytest.raises(ValueError, match="no more"):
                await anext(failing)
            left = await step({"count": 1_000_000, "trace": str(trace)})
            assert await anext(left) == 0
            await left.aclose()
            return [chunk async for chunk in await step({"count": 2})]

    assert asyncio.run(main()) == [0, 1]
    assert trace.read_text() == "closed"


def test_a_context_travels_as_what_means_something_elsewhere(caplog):
    context = Context(name="fn", project="p", parameters={"a": 1}, secrets={"s": "x"})
    context.server = threading.Lock()
    logging.getLogger("servegraph").setLevel(logging.INFO)

    def work(context, body):
        context.logger.info("working", body=body)
        return context.name, context.project, context.get_param("a"), context.get_secret("s")

    with caplog.at_level(logging.INFO, "servegraph"):
        assert run(functools.partial(work, context), 7) == [("fn", "p", 1, "x")]
    assert "working [body=7]" in caplog.messages


def test_what_workers_print_passes_through(capfd):
    def work(body):
        print("out", body)
        print("err", body, file=sys.stderr)

    run(work, 1)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("out 1\n", "err 1\n")


def test_a_function_that_cannot_be_carried_is_a_definition_error():
    lock = threading.Lock()
    step = ProcessStep(lambda body: lock, 1, "guarded")
    with pytest.raises(GraphError, match=r"step 'guarded': it cannot run in a process: .*lock"):
        step.start()


def test_a_function_that_cannot_be_loaded_is_a_definition_error():
    class Model:
        def __call__(self, body):
            return body

        def __getstate__(self):
            return {"a": 1}

        def __setstate__(self, state):
            raise OSError("no model here")

    with pytest.raises(GraphError, match="cannot run in a process: OSError: no model here"):
        ProcessStep(Model(), 2, "model").start()


def test_without_cloudpickle_what_needs_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(GraphError, match=r"servegraph\[processes\]"):
        ProcessStep(lambda body: body, 1, "step").start()
    with pytest.raises(MissingExtra):
        pickles.pack(lambda body: body)
    assert run(double, 4) == [8]


def test_a_closed_pool_refuses():
    async def main():
        async with pool(double) as step:
            pass
        with pytest.raises(NotReady):
            await step(1)
        step.close()

    asyncio.run(main())


def test_closing_ends_what_still_runs(monkeypatch):
    monkeypatch.setattr(processes, "LEAVE_GRACE", 0.2)

    async def main():
        async with pool(time.sleep) as step:
            call = asyncio.ensure_future(step(3600))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(step.close)
            with pytest.raises(WorkerDied):
                await call

    asyncio.run(asyncio.wait_for(main(), 30))


def test_workers_run_their_exit_handlers_when_the_pool_closes(tmp_path):
    def work(body):
        import atexit

        atexit.register((tmp_path / "left").touch)

    run(work, 1)
    assert (tmp_path / "left").exists()


def test_a_forgotten_pool_lets_its_workers_go():
    step = ProcessStep(pid, 1, "step")
    step.start()
    (worker,) = step._all
    process = worker._process
    del step, worker
    gc.collect()
    assert process.wait(20) == 0


SCRIPT = """
import asyncio, os, sys, time
from servegraph.pools.processes import ProcessStep

print("the program runs")

class Word:
    def __init__(self, text): self.text = text

def work(body):
    if body == "sleep":
        time.sleep(3600)
    return Word(f"{body.text} {os.getpid() != parent}") if isinstance(body, Word) else os.getpid()

parent = os.getpid()

async def main():
    step = ProcessStep(work, 1, "step")
    step.start()
    answer = await step(Word("other process:"))
    print(type(answer) is Word, answer.text, await step(0), flush=True)
    %s

asyncio.run(main())
"""


def script(tmp_path, ending):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT % textwrap.indent(textwrap.dedent(ending), "    ").strip())
    return [sys.executable, str(path)]


def gone(worker):
    """Wait until a process has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(worker, 0)
            if Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_script_without_a_main_guard_runs_once_and_may_forget_its_pool(tmp_path):
    done = subprocess.run(script(tmp_path, ""), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "the program runs"
    assert second.startswith("True other process: True")
    assert gone(int(second.split()[-1]))


@pytest.mark.parametrize("doing", ["pass", "asyncio.ensure_future(step('sleep')); await asyncio.sleep(0.2)"])
def test_workers_leave_when_the_process_that_started_them_is_killed(tmp_path, doing):
    ending = f"{doing}\nos.kill(os.getpid(), 9)"
    done = subprocess.run(script(tmp_path, ending), capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout.split()[-1]))


def test_the_buffers_of_small_arrays_travel_inside_the_pickle():
    small, large = pickles.pack(np.zeros(8)), pickles.pack(np.zeros(8192))
    assert (len(small), len(large)) == (1, 2)
    assert np.array_equal(pickles.unpack(large), np.zeros(8192))
    assert io.BytesIO(small[0]).read()
