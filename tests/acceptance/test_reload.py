"""Models are reloaded, added and removed, and workers die, while many clients ask: nobody gets a wrong answer.

SERVEGRAPH_RELOAD_SECONDS says how long the clients ask (3 by default). Run with ``-s`` to see the figures.
"""

import contextlib
import gc
import logging
import os
import signal
import time
import weakref
from pathlib import Path

import httpx
import pytest
from tests.acceptance.clients import asking
from tests.acceptance.processes import serving

import servegraph
from servegraph.errors import GraphError
from servegraph.serve.http import serve_in_background

SECONDS = float(os.environ.get("SERVEGRAPH_RELOAD_SECONDS", "3"))
PAUSE = 0.2
SIZE = 2 * 2**20  # a leaked model must show in the process's memory

pytestmark = pytest.mark.slow
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")

APP = """
import gc
import os
import weakref
import servegraph

ALIVE = weakref.WeakSet()

class Model(servegraph.serving.V2ModelServer):
    def load(self):
        self.model = bytearray(os.urandom(1024)) * 2048
        ALIVE.add(self)

    def predict(self, request):
        return [value + len(self.model) for value in request["inputs"]]

    def op_worker(self, event):
        gc.collect()
        return {"pid": os.getpid(), "alive": len(ALIVE)}

fn = servegraph.new_function("models")
fn.add_model("m", class_name="Model", model_path="x")
"""


class Model(servegraph.serving.V2ModelServer):
    made: list[weakref.ref] = []

    def load(self):
        self.model = bytearray(os.urandom(1024)) * (SIZE // 1024)
        self.made.append(weakref.ref(self))

    def predict(self, request):
        return [value + len(self.model) for value in request["inputs"]]

    def op_fail(self, event):
        raise RuntimeError("not today")


def right(answer):
    return answer["outputs"] == [SIZE + 1]


@contextlib.contextmanager
def served():
    """Serve a model from this process; gives its address and what changes its models."""
    Model.made.clear()
    fn = servegraph.new_function("models")
    fn.add_model("m", class_name=Model, model_path="x")
    build, servers = fn.builder(), []
    with serve_in_background(lambda: servers.append(build()) or servers[0]) as address:
        yield address, servers[0].control()


def memory(pid="self"):
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def alive():
    gc.collect()
    return sum(ref() is not None for ref in Model.made)


def test_no_request_fails_while_a_model_is_reloaded_again_and_again():
    with served() as (address, control):
        with asking(address, "/v2/models/m/infer", {"inputs": [1]}, right) as clients:
            until, reloads = time.monotonic() + SECONDS, 0
            while time.monotonic() < until:
                control.reload("m")
                reloads += 1
                time.sleep(PAUSE)
        print(f"\n{reloads} reloads in process, {clients.answered} answers, {len(clients.failures)} failures")
        assert clients.failures == []
        assert reloads >= 5
        assert alive() == 1


@needs_proc
def test_memory_stays_flat_over_100_reloads_and_the_old_models_are_let_go():
    with served() as (address, control), asking(address, "/v2/models/m/infer", {"inputs": [1]}, right, 8) as clients:
        for _ in range(20):
            control.reload("m")
        gc.collect()
        before = memory()
        for _ in range(100):
            control.reload("m")
            clients.wait_for_more(8)
        gc.collect()
        grown = memory() - before
        print(f"\n100 reloads of a model of {SIZE / 2**20:.0f} MB: {grown / 2**20:+.1f} MB")
        assert clients.failures == []
        assert alive() == 1
        assert grown < 10 * SIZE


def test_old_models_are_let_go_after_failures_too(monkeypatch):
    # pytest keeps every record of the log, and with it the exception and the model it came from.
    monkeypatch.setattr(logging.getLogger("servegraph"), "propagate", False)
    monkeypatch.setattr(logging, "lastResort", None)
    with served() as (address, control):
        for _ in range(3):
            assert httpx.post(f"{address}/v2/models/m/fail", json={}).status_code == 500
            control.reload("m")
        assert alive() == 1


def test_models_are_added_replaced_and_removed_while_others_are_asked():
    with served() as (address, control), asking(address, "/v2/models/m/infer", {"inputs": [1]}, right) as clients:
        new = f"{address}/v2/models/new/infer"
        for _ in range(5):
            assert httpx.post(new, json={"inputs": [1]}).status_code == 404
            control.add("new", class_name=Model, model_path="x")
            control.add("new", class_name=Model, model_path="y")
            assert right(httpx.post(new, json={"inputs": [1]}).json())
            with pytest.raises(GraphError, match="nope"):
                control.reload("nope")
            control.remove("new")
        assert list(control.names()) == ["m"]
        clients.wait_for_more(64)
    assert clients.failures == []
    assert alive() == 1


@pytest.fixture
def app(tmp_path):
    (tmp_path / "models.py").write_text(APP)
    return tmp_path


def change(address, model, action, **parameters):
    url = f"{address}/v2/repository/models/{model}/{action}"
    answer = httpx.post(url, json={"parameters": parameters} if parameters else {}, timeout=30)
    assert answer.status_code == 200, answer.text


def workers(address, count=2):
    """Return the state of each worker by its process, once so many have answered."""
    found, until = {}, time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < until, f"only {found} answered"
        state = httpx.post(f"{address}/v2/models/m/worker", json={}, timeout=30).json()
        found[state["pid"]] = state["alive"]
    return found


@needs_proc
def test_no_request_fails_while_two_workers_reload_over_http(app):
    with serving(app, "models.py", "--workers", "2", "--model-control") as server:
        address = server.address
        with asking(address, "/v2/models/m/infer", {"inputs": [1]}, right) as clients:
            for _ in range(5):
                change(address, "m", "load")
            before = {pid: memory(pid) for pid in workers(address)}
            until, reloads = time.monotonic() + SECONDS, 0
            while time.monotonic() < until:
                change(address, "m", "load")
                reloads += 1
                if reloads % 5 == 0:
                    change(address, "new", "load", class_name="Model", model_path="y")
                    answer = httpx.post(f"{address}/v2/models/new/infer", json={"inputs": [1]}, timeout=30)
                    assert right(answer.json())
                    change(address, "new", "unload")
                time.sleep(PAUSE)
            both = workers(address)
            grown = max(memory(pid) - before[pid] for pid in both)
        print(
            f"\n{reloads} reloads over HTTP in two workers, {clients.answered} answers, "
            f"{len(clients.failures)} failures, {grown / 2**20:+.1f} MB"
        )
        assert clients.failures == []
        assert both.keys() == before.keys()
        assert set(workers(address).values()) == {1}
        assert grown < 10 * SIZE


def test_a_killed_worker_fails_only_what_it_was_answering(app):
    with serving(app, "models.py", "--workers", "2", "--model-control") as server:
        address = server.address
        with asking(address, "/v2/models/m/infer", {"inputs": [1]}, right, 32) as clients:
            before = workers(address)
            clients.wait_for_more(64)
            os.kill(min(before), signal.SIGKILL)
            clients.wait_for_more(200)
            change(address, "m", "load")
            after = workers(address)
            clients.wait_for_more(200)
        print(
            f"\n{len(clients.broken)} of 32 clients lost an answer when their worker was killed, {clients.answered} had theirs"
        )
        assert clients.wrong == []
        assert len(clients.broken) <= 32
        assert min(before) not in after
        code, _ = server.stop()
        assert code == 0
