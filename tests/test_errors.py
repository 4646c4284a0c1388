import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.errors import (
    ArtifactError,
    BadEvent,
    DeadlineExceeded,
    EventError,
    Fault,
    GraphError,
    MissingExtra,
    NotReady,
    Overloaded,
    ServegraphError,
    ServerError,
    StepError,
    nearest,
    status_of,
)

FAULTS = [Fault("a", "class", "it is not there"), Fault("", "empty", "the graph has no steps")]


def test_a_fault_says_where_it_is():
    assert [str(fault) for fault in FAULTS] == ["step 'a': it is not there", "the graph has no steps"]
    assert FAULTS[0].as_dict() == {"step": "a", "code": "class", "message": "it is not there"}


def test_one_fault_is_told_in_a_sentence_and_several_in_a_numbered_list():
    assert str(GraphError(FAULTS[0])) == "step 'a': it is not there"
    told = "the graph has 2 faults:\n  1. step 'a': it is not there\n  2. the graph has no steps"
    assert str(GraphError(FAULTS)) == told


def test_a_message_alone_is_a_fault():
    assert GraphError("wrong", "a", "class").faults == (Fault("a", "class", "wrong"),)
    assert GraphError("wrong").faults == (Fault("", "graph", "wrong"),)


def test_faults_may_come_from_a_generator():
    assert GraphError(fault for fault in FAULTS).faults == tuple(FAULTS)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (GraphError("x"), ValueError),
        (BadEvent("x"), ValueError),
        (DeadlineExceeded("x"), TimeoutError),
        (ArtifactError("x"), OSError),
        (MissingExtra("x", "draw"), ImportError),
        (StepError("x"), RuntimeError),
    ],
)
def test_errors_are_caught_by_their_standard_names_too(error, builtin):
    assert isinstance(error, builtin)
    assert isinstance(error, ServegraphError)


@pytest.mark.parametrize("error", [GraphError(FAULTS), BadEvent("x"), NotReady("x", None), Overloaded("x", 3.0)])
def test_errors_travel_between_processes(error):
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_what_is_not_ready_or_full_says_when_to_come_back():
    assert NotReady("loading").retry_after == 1.0
    assert NotReady("failed", None).retry_after is None
    assert Overloaded("full", 3.0).retry_after == 3.0
    assert EventError("other").retry_after is None


def test_a_missing_package_is_told_with_the_command_that_installs_it():
    told = 'a picture needs an optional package; install it with: pip install "servegraph[draw]"'
    assert str(MissingExtra("a picture", "draw")) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": "no such model", "id": "1"}, "failed (404): no such model"),
        ({"detail": "x"}, "failed (404): {'detail': 'x'}"),
        ("gone", "failed (404): gone"),
        (None, "failed (404): None"),
    ],
)
def test_an_error_answer_is_told_by_its_message(body, told):
    error = ServerError(404, body)
    assert (str(error), error.status_code, error.body) == (told, 404, body)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none()))
def test_a_status_code_counts_where_it_is_one_of_an_error(code):
    error = ValueError("x")
    error.status_code = code
    expected = code if type(code) is int and 400 <= code <= 599 else 500
    assert status_of(error) == expected


def test_errors_without_a_status_code_are_500():
    assert status_of(KeyError("x")) == 500
    assert status_of(SystemExit(1)) == 500


def test_the_nearest_name_is_told_where_one_is_near():
    assert nearest("Extnd", ["Map", "Extend"]) == "; did you mean 'Extend'?"
    assert nearest("Extnd", ["Map", "Filter"]) == ""
    assert nearest("", []) == ""


@pytest.mark.parametrize(
    "error", [MissingExtra("drawing", "draw"), ServerError(404, {"error": "x"}), GraphError("x", "s")]
)
def test_errors_cross_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
