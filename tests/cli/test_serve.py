import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest


@contextlib.contextmanager
def served(folder, *arguments, command=("-m", "servegraph", "serve")):
    """Serve from a process of its own; gives the address and the process."""
    process = subprocess.Popen(
        [sys.executable, *command, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        assert found, line + process.stderr.read()
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)
        process.kill()


def ask(address, value=2):
    return httpx.post(f"{address}/v2/models/m/infer", json={"inputs": [value]}, timeout=30).json()["outputs"]


def test_a_script_is_served_until_told_to_stop(folder):
    with served(folder, "sg_app.py", "--port", "0") as (address, process):
        assert ask(address) == [6]
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert f"curl {address}/v2/models/" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_notebook_and_a_document_are_served(folder):
    app = (folder / "sg_app.py").read_text()
    (folder / "book.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": f"%pip x\n{app}"}]}))
    with served(folder, "book.ipynb:fn", "--port", "0") as (address, _):
        assert ask(address) == [6]
    with served(folder, "graph.yaml", "--port", "0") as (address, _):
        assert httpx.post(address, json=4).json() == 8


def test_several_workers_share_a_port_and_the_limits_given(folder):
    limits = ("--max-body", "1k", "--set", "request_timeout=5")
    with served(folder, "sg_app.py", "--port", "0", "--workers", "2", *limits) as (address, _):
        assert ask(address) == [6]
        big = {"inputs": [1] * 2000}
        assert httpx.post(f"{address}/v2/models/m/infer", json=big).status_code == 413


def test_a_change_is_served_without_a_failed_request(folder):
    path = folder / "sg_app.py"
    with served(folder, "sg_app.py", "--port", "0", "--reload") as (address, _):
        assert ask(address) == [6]
        path.write_text(path.read_text().replace("factor=3", "factor=5"))
        until = time.monotonic() + 30
        while ask(address) != [10]:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_where_and_how_a_function_is_served_may_be_said_in_its_file(folder):
    with (folder / "sg_app.py").open("a") as file:
        file.write("fn.with_http(workers=2, port=0)\n")
    with served(folder, "sg_app.py") as (address, process):
        assert ask(address) == [6]
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == ""


def test_a_function_serves_itself(folder):
    with (folder / "sg_app.py").open("a") as file:
        file.write("fn.serve(port=0)\n")
    with served(folder, command=("sg_app.py",)) as (address, _):
        assert ask(address) == [6]
    command = [sys.executable, "-m", "servegraph", "serve", "sg_app.py", "--port", "0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "sg_app.py is being loaded: put serve() under 'if __name__ ==" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_cannot_start_is_said_once_and_fails(folder, workers):
    command = [sys.executable, "-m", "servegraph", "serve", "sg_broken.py", "--port", "0", "--workers", workers]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("the graph has 2 faults") == 1
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said(folder):
    with served(folder, "sg_app.py", "--port", "0") as (address, _):
        port = address.rpartition(":")[2]
        command = [sys.executable, "-m", "servegraph", "serve", "sg_app.py", "--port", port]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"another program listens on 127.0.0.1:{port}" in done.stderr


def test_an_asgi_app_answers_under_any_server(folder):
    with (folder / "sg_app.py").open("a") as file:
        file.write("app = servegraph.asgi(fn)\n")
    command = ("-m", "uvicorn", "sg_app:app", "--port", "0", "--log-config", str(log_config(folder)))
    with served(folder, command=command) as (address, _):
        assert ask(address) == [6]


def log_config(folder):
    """Let uvicorn say on the standard output where it listens."""
    path = folder / "log.json"
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "filters": ["address"]}
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"address": {"()": "sg_log.OnlyAddress"}},
        "handlers": {"out": handler},
        "loggers": {"uvicorn": {"handlers": ["out"], "level": "INFO"}},
    }
    path.write_text(json.dumps(config))
    (folder / "sg_log.py").write_text(
        "import logging\nclass OnlyAddress(logging.Filter):\n"
        "    def filter(self, record): return 'running on' in record.getMessage()\n"
    )
    return path
