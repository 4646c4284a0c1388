"""Several worker processes on one port: shared work, deaths, reloads, changes of models in all of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.serve.served import Process, Wire, ask, post, running

pytestmark = pytest.mark.slow


def pids(server: Process, count: int = 60, path: str = "/m") -> set[int]:
    """Return the processes that answer, each request over a connection of its own."""
    return {ask(server.address, post(path=path)).json["pid"] for _ in range(count)}


def all_pids(server: Process, workers: int, path: str = "/m") -> set[int]:
    """Return the processes that answer, once there are so many."""
    found: set[int] = set()
    until = time.monotonic() + 30
    while len(found) < workers:
        assert time.monotonic() < until, f"only {found} answered"
        with Wire(server.address) as busy:
            # While one worker is busy with many, the others get their turn.
            busy.send(post('{"sleep": 0.05}', path))
            found |= pids(server, 5, path)
    return found


def load(server: Process, model: str, action: str, **parameters: object) -> httpx.Response:
    url = f"{server.address}/v2/repository/models/{model}/{action}"
    return httpx.post(url, json={"parameters": parameters} if parameters else {}, timeout=30)


class Load:
    """Clients that ask without pause and count what fails; a new connection for each request."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.failures: list[str] = []
        self.answered = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                answer = ask(self.address, post(path="/m"))
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            else:
                self.answered += 1
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {answer.body!r}")

    def until(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        goal, end = self.answered + more, time.monotonic() + 30
        while self.answered < goal:
            assert time.monotonic() < end, f"answers stopped: {self.failures[:3]}"
            time.sleep(0.005)

    @contextmanager
    def going_on(self) -> Iterator[Load]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def test_workers_share_a_port():
    with running("--workers", "2") as server:
        assert len(all_pids(server, 2)) == 2
        assert httpx.get(f"{server.address}/readyz").json() == {"ready": True}


def test_sigterm_drains_every_worker():
    with running("--workers", "2") as server:
        wires = [Wire(server.address) for _ in range(4)]
        for wire in wires:
            wire.send(post('{"sleep": 0.7}', "/m"))
        assert ask(server.address, post(path="/m")).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert [wire.read().status for wire in wires] == [200] * 4
        assert server.process.wait(30) == 0
        for wire in wires:
            wire.close()


def test_a_killed_worker_comes_back_and_harms_no_other():
    with running("--workers", "2") as server:
        before = all_pids(server, 2)
        with Load(server.address).going_on() as clients:
            clients.until(50)
            os.kill(min(before), signal.SIGKILL)
            assert "SIGKILL" in server.wait_for("worker")
            clients.until(200)
        after = all_pids(server, 2)
    assert min(before) not in after
    # Only what the killed worker was answering is lost: one request of each client at most.
    assert len(clients.failures) <= 4


def test_a_worker_that_dies_again_and_again_is_restarted_ever_later():
    with running("--workers", "1") as server:
        for told in ("another starts", "another starts in 0.4 s", "another starts in 0.8 s"):
            (pid,) = all_pids(server, 1)
            os.kill(pid, signal.SIGKILL)
            assert server.wait_for("worker 0").endswith(told)


def test_workers_end_when_their_supervisor_is_killed():
    with running("--workers", "2") as server:
        workers = all_pids(server, 2)
        server.process.kill()
        until = time.monotonic() + 20
        while any(_is_alive(pid) for pid in workers):
            assert time.monotonic() < until, "a worker outlived its supervisor"
            time.sleep(0.02)


def test_a_graph_that_does_not_start_ends_the_supervisor_with_its_exit_code(tmp_path):
    broken = tmp_path / "answer.py"
    broken.write_text("ANSWER = 1 / 0\n")
    with pytest.raises(AssertionError, match="ended without saying"), running("--workers", "2", "--watch", str(broken)):
        pass


def test_models_are_added_reloaded_and_removed_in_every_worker():
    with running("--workers", "2") as server:
        assert load(server, "new", "load", class_name="Model", answer="added").status_code == 200
        assert {ask(server.address, post(path="/new")).json["answer"] for _ in range(40)} == {"added"}
        assert len(all_pids(server, 2, "/new")) == 2

        index = httpx.post(f"{server.address}/v2/repository/index").json()
        assert [row["name"] for row in index] == ["m", "new"]

        made = {ask(server.address, post(path="/m")).json["made"] for _ in range(40)}
        assert load(server, "m", "load").status_code == 200
        assert not made & {ask(server.address, post(path="/m")).json["made"] for _ in range(40)}

        assert load(server, "new", "unload").status_code == 200
        assert {ask(server.address, post(path="/new")).status for _ in range(40)} == {404}
        assert load(server, "new", "unload").status_code == 404


def test_a_worker_that_comes_later_has_the_changes_too():
    with running("--workers", "2") as server:
        load(server, "new", "load", class_name="Model", answer="added")
        load(server, "m", "unload")
        before = all_pids(server, 2, "/new")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
            server.wait_for("worker")
        while not before.isdisjoint(after := all_pids(server, 2, "/new")):
            pass
        assert len(after) == 2
        assert {ask(server.address, post(path="/m")).status for _ in range(40)} == {404}


def test_no_request_fails_while_a_model_is_reloaded():
    with running("--workers", "2") as server, Load(server.address).going_on() as clients:
        for _ in range(10):
            clients.until(10)
            assert load(server, "m", "load").status_code == 200
    assert clients.failures == []


def test_a_change_that_fails_in_one_worker_names_it_and_leaves_its_model(tmp_path):
    refuse = tmp_path / "refuse"
    refuse.write_text("")
    with running("--workers", "2", "--refuse", str(refuse)) as server:
        both = all_pids(server, 2)
        refuse.write_text(str(min(both)))
        failed = load(server, "m", "load")
        assert failed.status_code == 400
        assert "this process shall not" in failed.json()["error"]
        assert failed.json()["error"].startswith("worker ")
        assert all_pids(server, 2) == both


def test_a_change_that_no_worker_can_make_is_told_once():
    with running("--workers", "2") as server:
        failed = load(server, "bad", "load", class_name="NoSuchModel")
        assert failed.status_code == 400
        assert failed.json()["error"].count("NoSuchModel") == 1
        assert load(server, "m", "load", class_name="Model", anser=1).status_code == 400
        assert ask(server.address, post(path="/m")).status == 200


def test_a_changed_file_starts_new_workers_without_a_failed_request(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text("ANSWER = 'old'\n")

    def answer() -> str:
        return ask(server.address, post(path="/m")).json["answer"]

    with running("--workers", "2", "--watch", str(file)) as server:
        assert answer() == "old"
        with Load(server.address).going_on() as clients:
            clients.until(20)
            file.write_text("ANSWER = 'new'\n")
            assert server.wait_for("the change") == "the change is in force"
            until = time.monotonic() + 20
            while "old" in {answer() for _ in range(20)}:
                assert time.monotonic() < until
            clients.until(20)
            file.write_text("ANSWER = 1 / 0\n")
            assert server.wait_for("the change") == "the change does not start; what ran before goes on"
            clients.until(20)
            assert {answer() for _ in range(20)} == {"new"}
        assert clients.failures == []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
