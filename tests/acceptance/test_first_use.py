"""A new user in a fresh folder, with nothing but the README: write, serve, ask, check, draw, stop; and the first mistakes."""

import json
import re
import runpy
import signal
import socket
import xml.etree.ElementTree as xml

import httpx
import pytest
from tests.acceptance.processes import command, serving
from tests.asking import curl

import servegraph

pytestmark = pytest.mark.slow
FLOWERS = {"inputs": [[5.1, 3.5, 1.4, 0.2], [7.7, 3.8, 6.7, 2.2]]}
INFER = "/v2/models/iris/infer"


@pytest.fixture(scope="module")
def readme(house):
    return (house / "README.md").read_text()


@pytest.fixture
def folder(tmp_path, readme):
    """A folder with the README's first block as ``iris.py``."""
    (tmp_path / "iris.py").write_text(re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1])
    return tmp_path


def as_notebook(folder):
    cell = {"cell_type": "code", "source": (folder / "iris.py").read_text().splitlines(keepends=True)}
    text = {"cell_type": "markdown", "source": ["# Flowers"]}
    (folder / "iris.ipynb").write_text(
        json.dumps({"cells": [text, cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}})
    )
    return "iris.ipynb"


def as_document(folder):
    runpy.run_path(str(folder / "iris.py"))["fn"].export(folder / "iris.yaml")
    (folder / "iris.py").unlink()
    return "iris.yaml"


@pytest.mark.parametrize("write", [lambda folder: "iris.py", as_notebook, as_document], ids=["py", "ipynb", "yaml"])
def test_ten_lines_are_served_asked_and_stopped(folder, readme, write):
    target = write(folder)
    asked = re.search(r"^(curl .*)$", readme, re.MULTILINE)[1]
    with serving(folder, target) as server:
        assert curl(asked, "localhost:8080", server.address).json()["outputs"] == [0]
        assert httpx.post(server.address + INFER, json=FLOWERS).json()["outputs"] == [0, 2]
        assert httpx.get(server.address + "/readyz").status_code == 200
        told = command(folder, "invoke", server.address, INFER, "-d", json.dumps(FLOWERS))
        assert (told.returncode, json.loads(told.stdout)["outputs"]) == (0, [0, 2])
        code, errors = server.stop()
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("write", [lambda folder: "iris.py", as_notebook, as_document], ids=["py", "ipynb", "yaml"])
def test_ten_lines_are_checked_drawn_and_asked_without_a_server(folder, write):
    target = write(folder)
    checked = command(folder, "check", target)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("ok: iris")
    for picture in ("graph.svg", "graph.mmd"):
        drawn = command(folder, "plot", target, "-o", picture)
        assert (drawn.returncode, drawn.stdout) == (0, f"wrote {picture}\n"), drawn.stderr
    assert xml.parse(folder / "graph.svg").getroot().tag.endswith("svg")
    assert "iris" in (folder / "graph.mmd").read_text()
    asked = command(folder, "invoke", target, INFER, "-d", json.dumps(FLOWERS))
    assert (asked.returncode, json.loads(asked.stdout)["outputs"]) == (0, [0, 2]), asked.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_ends_well_when_told_to(folder, number, workers):
    with serving(folder, "iris.py", "--workers", workers) as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=30) == 0
        assert server.stop()[1] == ""


BROKEN = "import servegraph\n\nfn = servegraph.new_function('broken'\n"
RAISES = "import servegraph\n\nnothing_there\n"
TWO = """
import servegraph

first = servegraph.new_function("first")
first.set_topology("flow").to(name="s", handler="(1)").respond()
second = servegraph.new_function("second")
second.set_topology("flow").to(name="s", handler="(2)").respond()
"""
UNFINISHED = 'import servegraph\n\nfn = servegraph.new_function("unfinished")\n'
FAULTY = """
import servegraph

fn = servegraph.new_function("faulty")
fn.set_topology("flow").to(name="a", handler="mising").to("Mising", name="b").respond()

def missing(body):
    return body
"""
FILES = {"broken": BROKEN, "raises": RAISES, "two": TWO, "unfinished": UNFINISHED, "faulty": FAULTY, "bare": "x = 1\n"}
MISTAKES = [
    # what is asked for, exit code, what is told
    ("nothing.py", 2, "there is no file 'nothing.py'"),
    ("bara.py", 2, "did you mean 'bare.py'?"),
    ("iris.txt", 2, "give a file that ends with .py"),
    ("bare.py", 2, "'bare.py' has no function: make one with servegraph.new_function(...)"),
    ("two.py", 2, "'two.py' has several functions (first, second): say which, as in two.py:first"),
    ("two.py:secnd", 2, "did you mean 'second'?"),
    ("broken.py", 1, "line 3"),
    ("raises.py", 1, "nothing_there"),
    ("unfinished.py", 1, "function 'unfinished' has no graph"),
    ("faulty.py", 1, "did you mean 'missing'?"),
]


@pytest.fixture
def mistakes(tmp_path):
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "iris.txt").write_text("")
    return tmp_path


@pytest.mark.parametrize(("target", "code", "told"), MISTAKES)
def test_a_mistake_is_told_with_what_to_do(mistakes, target, code, told):
    done = command(mistakes, "serve", target, "--port", "0")
    assert (done.returncode, done.stdout) == (code, "")
    line = next(line for line in done.stderr.splitlines() if told in line)
    if target != "faulty.py":
        assert line.startswith("Error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("what", "target"),
    [
        (("check",), 0),
        (("check",), 3),
        (("check",), 6),
        (("check",), 9),
        (("plot", "-o", "x.svg"), 4),
        (("invoke",), 7),
    ],
)
def test_other_commands_tell_it_too(mistakes, what, target):
    file, code, told = MISTAKES[target]
    done = command(mistakes, what[0], file, *what[1:])
    assert done.returncode == code
    assert told in re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", [("check",), ("serve", "--port", "0")], ids=["check", "serve"])
def test_all_faults_are_told_at_once(mistakes, what):
    done = command(mistakes, what[0], "faulty.py", *what[1:])
    assert done.returncode == 1
    assert "mising" in done.stdout + done.stderr
    assert "Mising" in done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_told_before_anything_is_loaded(folder, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command(folder, "serve", "iris.py", "--port", port, "--workers", workers)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert port in line
    assert "another program listens" in line


def test_nobody_at_the_address_that_is_asked(folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = command(folder, "invoke", f"http://127.0.0.1:{port}", "/")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot reach http://127.0.0.1:{port}" in line


def test_a_request_that_fails_ends_with_1_and_tells_why(folder):
    done = command(folder, "invoke", "iris.py", "/v2/models/irs/infer", "-d", json.dumps(FLOWERS))
    assert done.returncode == 1
    assert "did you mean 'iris'?" in done.stderr
    assert "status 404" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_told(tmp_path):
    assert command(tmp_path, "version").stdout.startswith(f"servegraph {servegraph.__version__} ")
