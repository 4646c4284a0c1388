"""Merge of events that share a key."""

import pytest
from tests.engine.graphs import Records, flow, mock
from tests.steps.serving import engines, serve, together

from servegraph.serve.settings import Settings
from servegraph.serving import Merge


def merging(**options):
    return lambda graph: graph.to("mlrun.serving.Merge", "m", **options).respond()


@engines
@pytest.mark.parametrize("key_path", ["event['k']", lambda body: body["k"]])
def test_events_with_an_equal_key_become_one_which_answers_all_their_callers(engine, key_path):
    with serve(merging(key_path=key_path, expected_num_events=2), engine) as server:
        bodies = [{"k": k, "n": n} for k in "ab" for n in (1, 2)]
        answers = together(server, *bodies)
        assert answers[0] == answers[1]
        assert sorted(row["n"] for row in answers[0]) == [1, 2]
        assert {row["k"] for row in answers[2]} == {"b"}


@engines
def test_a_join_key_can_be_overridden_and_the_events_be_kept_whole(engine):
    class ByPath(Merge):
        def get_join_key(self, event):
            return event.path

        def merge_function(self, event, events):
            event.body = [each.body for each in events]
            return event

    with serve(lambda graph: graph.to(ByPath(expected_num_events=2)).respond(), engine) as server:
        assert sorted(together(server, 1, 2, path="/p")[0]) == [1, 2]


def test_an_incomplete_key_too_far_behind_fails_and_is_forgotten():
    errors = Records()
    arguments = {"key_path": "event", "expected_num_events": 2, "max_behind": 3}
    graph = flow("async", m={"class_name": "mlrun.serving.Merge", "class_args": arguments})
    with mock(graph, errors=errors) as server:
        for key in range(50):
            server.test(body=key)
        assert [record["event"]["body"] for record in errors.records] == list(range(47))
        assert "1 of 2 events with the key 0 when more than max_behind=3" in errors.records[0]["message"]
        assert server.server.in_flight == 3
        server.wait_for_completion()
        assert len(errors.records) == 50
        assert server.server.in_flight == 0


def test_the_caller_of_a_late_event_gets_the_error():
    graph = flow(
        "async",
        m={
            "class_name": "mlrun.serving.Merge",
            "class_args": {"key_path": "event", "expected_num_events": 2, "max_behind": 1},
            "responder": True,
        },
    )
    with mock(graph, settings=Settings(request_timeout=0.3)) as server:
        answers = sorted(together(server, 0, 1, silent=True), key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [500, 504]
        assert answers[0].body["step"] == "m"
        server.wait_for_completion()
        assert server.server.in_flight == 0


def test_an_error_handler_gets_what_a_merge_gave_up():
    arguments = {"key_path": "event", "expected_num_events": 2, "max_behind": 1}
    graph = flow(
        "async",
        m={"class_name": "mlrun.serving.Merge", "class_args": arguments, "responder": True, "on_error": "h"},
        h={"kind": "error_step", "handler": "('late')"},
    )
    with mock(graph, settings=Settings(request_timeout=0.3)) as server:
        answers = together(server, 0, 1, silent=True, get_body=False)
        assert sorted((answer.status_code, answer.status_code == 200 and answer.body) for answer in answers) == [
            (200, "late"),
            (504, False),
        ]


def test_a_merge_function_that_fails_fails_all_its_callers_once():
    errors = Records()

    class Broken(Merge):
        def merge_function(self, event, events):
            raise ValueError("bad")

    graph = flow(
        "async",
        m={
            "class_name": "Broken",
            "class_args": {"expected_num_events": 2, "key_path": "1 or event"},
            "responder": True,
        },
    )
    with mock(graph, errors=errors, Broken=Broken) as server:
        assert [answer.body["error"] for answer in together(server, 1, 2, silent=True)] == ["bad", "bad"]
        assert len(errors.records) == 1
        assert server.server.in_flight == 0


@engines
def test_an_event_without_a_key_is_a_bad_event(engine):
    with serve(merging(key_path="event['k']", expected_num_events=2), engine) as server:
        answer = server.test(body={}, silent=True)
        assert answer.status_code == 400
        assert "the key_path of Merge does not fit this event: KeyError: 'k'" in answer.body["error"]
    with serve(merging(key_path="event['k']", expected_num_events=2), engine) as server:
        assert "cannot be a key" in server.test(body={"k": {}}, silent=True).body["error"]


@engines
def test_a_single_expected_event_passes_through(engine):
    with serve(merging(expected_num_events=1), engine) as server:
        assert server.test(body=3) == [3]


@engines
def test_events_with_the_same_id_belong_together_without_a_key_path(engine):
    with serve(merging(expected_num_events=2), engine) as server:
        answers = together(server, 1, 2, event_id="e")
        assert sorted(answers[0]) == [1, 2]
        assert answers[0] == answers[1]
