"""Every failure in docs/errors.md is provoked at every door it can come through, and told alike at each."""

import json
import subprocess
import sys
import threading

import pytest
from tests.failures import request_cases, start_cases, write
from tests.failures.definition_cases import DATA_DOORS, DEFINITIONS, PYTHON_DOORS, by_json, by_python
from tests.failures.doors import DOORS, Request, over_http
from tests.failures.folder import folder_of_code
from tests.failures.request_cases import VARIANTS
from tests.failures.start_cases import STARTS

import servegraph
from servegraph.errors import GraphError
from servegraph.serve.http import serve_in_background


def named(case):
    return case.name.replace(" ", "-") if hasattr(case, "name") else ""


@pytest.fixture
def folder():
    with folder_of_code() as folder:
        yield folder


# Requests.


@pytest.mark.parametrize(("case", "engine"), VARIANTS, ids=lambda each: named(each) or str(each))
def test_a_failed_request_is_answered_alike_over_the_mock_and_over_http(case, engine):
    answers = {door: request_cases.provoke(case, doorway, engine) for door, doorway in DOORS.items()}
    assert answers["mock"] == answers["http"]
    told = answers["http"]
    assert 400 <= told.status <= 599 or told.status == 204
    if told.body is not None and "type" in told.body:
        assert set(told.body) - {"step"} == {"error", "type", "id"}
        assert told.body["id"] == case.request.id
    assert "Traceback" not in json.dumps(told.body)


@pytest.mark.parametrize("case", request_cases.FLOW_CASES, ids=named)
def test_both_engines_answer_a_failed_request_alike(case):
    answers = [request_cases.provoke(case, DOORS["mock"], engine) for engine in request_cases.ENGINES]
    assert answers[0] == answers[1]


def test_the_caller_of_a_step_that_blocks_its_thread_gets_504_in_time():
    go = threading.Event()
    function = servegraph.new_function("blocking")
    function.set_topology("flow").to(name="price", handler=lambda body: go.wait(30)).respond()
    with over_http(function, request_timeout=0.1) as door:
        try:
            answer = door.ask(Request())
        finally:
            go.set()
    assert (answer.status, answer.body["type"], answer.body["step"]) == (504, "DeadlineExceeded", "price")


# Definitions.


@pytest.mark.parametrize("case", [each for each in DEFINITIONS if each.python], ids=named)
def test_a_fault_is_told_alike_by_python_by_starting_and_by_the_command_line(case, folder):
    told = by_python(case, folder)
    assert told
    assert {door.__name__: door(case, folder) for door in PYTHON_DOORS} == {
        door.__name__: told for door in PYTHON_DOORS
    }


@pytest.mark.parametrize("case", [each for each in DEFINITIONS if each.graph is not None], ids=named)
def test_a_fault_is_told_alike_in_python_json_and_yaml_and_by_the_command_line(case, folder):
    told = by_python(case, folder)
    assert told == by_json(case, folder)
    assert {door.__name__: door(case, folder) for door in DATA_DOORS} == {door.__name__: told for door in DATA_DOORS}


def test_the_command_ends_with_1_and_prints_the_faults(folder):
    case = DEFINITIONS[0]
    (folder / "graph.json").write_text(json.dumps(case.graph))
    command = [sys.executable, "-m", "servegraph", "check", "graph.json", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert json.loads(done.stdout)["faults"] == [{"function": "graph", **each} for each in by_json(case, folder)]


# Starts.


@pytest.mark.parametrize("case", STARTS, ids=named)
def test_what_keeps_a_sound_graph_from_starting_is_told_alike_at_every_door(case, folder):
    assert start_cases.function_of(case).check([]) == []
    faults = start_cases.by_mock(case)
    assert faults
    assert start_cases.by_http(case) == faults
    assert start_cases.by_command(case, folder) == (1, str(GraphError(faults)))


def test_a_port_that_is_taken_is_told_by_python_and_by_the_command_line(folder):
    code, told = start_cases.port_taken(folder)
    assert (code, told.partition(";")[0]) == (1, "another program listens on 127.0.0.1:8080")
    function = servegraph.new_function("twice")
    function.set_topology("flow").to(name="same", handler="(event)").respond()
    with serve_in_background(function.build_server) as address:
        port = int(address.rpartition(":")[2])
        taken = pytest.raises(OSError, match=f"another program listens on 127.0.0.1:{port}; stop it")
        with taken, serve_in_background(function.build_server, port=port):
            pass


# The page.


def test_the_tables_of_the_page_are_what_the_failures_give():
    page = write.PAGE.read_text()
    assert page == write.page_with_tables(page), "run: python -m tests.failures.write"


def test_the_page_has_every_table_and_more_than_thirty_failures():
    page = write.PAGE.read_text()
    assert [found[2] for found in write.MARKS.finditer(page)] == list(write.TABLES)
    rows = [line for found in write.MARKS.finditer(page) for line in found[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 30
