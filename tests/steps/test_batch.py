import threading
import time

import pytest
from tests.engine.graphs import Records, flow, mock
from tests.steps.serving import engines, one, serve, together

from servegraph.errors import GraphError
from servegraph.serve.settings import Settings
from servegraph.storey import Batch, EmitPeriod, SampleWindow


def batches(*then, **options):
    def define(graph):
        step = graph.to("storey.Batch", "batch", **{"full_event": False, **options})
        for handler in then:
            step = step.to(handler=handler)
        step.respond()

    return define


@engines
def test_callers_of_a_full_batch_get_their_own_row(engine):
    def define(graph):
        graph.to("storey.Batch", max_events=4, full_event=False).to(handler="([x * 10 for x in event])").respond()

    with serve(define, engine) as server:
        assert together(server, 1, 2, 3, 4) == [10, 20, 30, 40]


@engines
def test_what_is_no_list_of_rows_goes_whole_to_each_caller(engine):
    with serve(batches("(sum(event))", max_events=2), engine) as server:
        assert together(server, 1, 2) == [3, 3]


@engines
def test_time_flushes_an_incomplete_batch(engine):
    with serve(batches("(event)", max_events=100, flush_after_seconds=0.02), engine) as server:
        assert server.test(body=1) == 1
        assert together(server, 1, 2) == [1, 2]


def test_a_timer_of_a_full_batch_does_not_flush_the_next_one():
    seen = []

    def define(graph):
        graph.to(Batch(max_events=2, flush_after_seconds=0.2, full_event=False)).to(
            handler=lambda rows: seen.append(rows) or rows
        ).respond()

    with serve(define) as server:
        together(server, 1, 2)
        time.sleep(0.15)  # the first batch's timer would end 0.05 s from here
        started = time.monotonic()
        server.test(body=3)
        assert time.monotonic() - started > 0.15
    assert [len(rows) for rows in seen] == [2, 1]


def test_an_error_behind_a_timer_reaches_the_caller_and_the_error_stream_and_the_next_batch_goes_on():
    errors = Records()
    graph = flow(
        "async",
        b={"class_name": "storey.Batch", "class_args": {"flush_after_seconds": 0.01, "full_event": False}},
        s={"after": "b", "handler": "([1 / x for x in event])", "responder": True},
    )
    with mock(graph, errors=errors) as server:
        answer = server.test(body=0, silent=True)
        assert (answer.status_code, answer.body["step"]) == (500, "s")
        assert len(errors.records) == 1
        assert server.test(body=2) == 0.5


@engines
def test_the_end_flushes_what_is_left_also_where_nobody_waits(engine):
    seen = []

    def define(graph):
        graph.to("storey.Batch", max_events=3, full_event=False).to(handler=seen.append)

    with serve(define, "async") as server:
        for number in range(7):
            server.test(body=number)
        server.wait_for_completion()
        assert seen == [[0, 1, 2], [3, 4, 5], [6]]
        assert server.server.in_flight == 0


@engines
@pytest.mark.parametrize("key_field", ["k", lambda event: event.body["k"]])
def test_batches_are_by_key_which_the_batch_carries(engine, key_field):
    def define(graph):
        batch = graph.to(Batch(max_events=2, key_field=key_field, full_event=False))
        batch.to(handler=lambda event: event, full_event=True).to(name="out", handler=keyed, full_event=True).respond()

    def keyed(event):
        event.body = [[event.key, row["n"]] for row in event.body]
        return event

    with serve(define, engine) as server:
        bodies = [{"k": k, "n": n} for k in "ab" for n in (1, 2)]
        assert together(server, *bodies) == [["a", 1], ["a", 2], ["b", 1], ["b", 2]]


@engines
def test_the_key_field_can_be_dropped_and_the_key_be_the_events_own(engine):
    with serve(batches("(event)", max_events=1, key_field="k", drop_key_field=True), engine) as server:
        assert server.test(body={"k": 1, "n": 2}) == {"n": 2}
    with serve(batches("(event)", max_events=1, key_field="$path"), engine) as server:
        assert server.test("/p", body=1) == 1


@engines
@pytest.mark.parametrize(
    ("key_field", "body", "told"),
    [("k", {"n": 1}, "no such field"), ("k", 3, "no such field"), (lambda event: {}, 3, "cannot be a key")],
)
def test_an_event_without_a_key_fails_alone(engine, key_field, body, told):
    with serve(lambda graph: graph.to(Batch(1, key_field=key_field)).respond(), engine) as server:
        answer = server.test(body=body, silent=True)
        assert answer.status_code == 400
        assert told in answer.body["error"]
        assert server.server.in_flight == 0


@engines
def test_a_batch_of_events_carries_the_events_unless_told_otherwise(engine):
    def rows(events):
        return [f"{event.path}:{event.body}" for event in events]

    with serve(lambda graph: graph.to("storey.Batch", max_events=2).to(handler=rows).respond(), engine) as server:
        assert together(server, 1, 2) == ["/:1", "/:2"]


@engines
def test_a_batch_of_parts_of_bodies_at_a_path_of_the_new_one(engine):
    def define(graph):
        batch = graph.to("storey.Batch", max_events=2, full_event=False, input_path="n", result_path="rows")
        batch.to(handler="([event, event])").respond()

    with serve(define, engine) as server:
        both = together(server, {"n": 1}, {"n": 2})
        assert sorted(both[0]["rows"]) == [1, 2]
        assert both[0] == both[1]


def test_a_caller_that_waits_alone_gives_up_at_its_deadline_and_leaves_nothing_behind():
    graph = flow("async", b={"class_name": "storey.Batch", "class_args": {"max_events": 2}, "responder": True})
    with mock(graph, settings=Settings(request_timeout=0.05)) as server:
        assert server.test(body=1, silent=True).status_code == 504
        server.wait_for_completion()
        assert server.server.in_flight == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "needs max_events or flush_after_seconds"),
        ({"max_events": 0}, "max_events"),
        ({"max_events": True}, "max_events"),
        ({"max_events": 1.5}, "max_events"),
        ({"flush_after_seconds": -1}, "flush_after_seconds"),
        ({"flush_after_seconds": "1"}, "flush_after_seconds"),
        ({"max_events": 1, "key_field": 3}, "key_field"),
        ({"max_events": 1, "key_field": "$kye"}, "did you mean 'key'"),
        ({"max_events": 1, "drop_key_field": True}, "drop_key_field needs a key_field"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_when_the_graph_starts(options, told):
    with pytest.raises(GraphError, match="Batch could not be built") as raised:
        serve(lambda graph: graph.to("storey.Batch", **options))
    assert told in str(raised.value)


@engines
@pytest.mark.parametrize(("period", "kept"), [(EmitPeriod.FIRST, [0, 3, 6]), ("LAST", [2, 5]), ("first", [0, 3, 6])])
def test_sample_window_passes_on_one_of_each_window(engine, period, kept):
    answers = one(engine, "storey.steps.SampleWindow", *range(8), window_size=3, emit_period=period)
    assert [each for each in answers if each is not None] == kept


@engines
def test_every_key_has_windows_of_its_own(engine):
    bodies = [{"k": k, "n": n} for n in range(3) for k in "ab"]
    answers = one(engine, "storey.SampleWindow", *bodies, window_size=2, key="k")
    assert [each and each["n"] for each in answers] == [0, 0, None, None, 2, 2]


@engines
def test_windows_begin_anew_when_a_server_starts(engine):
    step = SampleWindow(3)
    assert [one(engine, step, 1, 2) for _ in range(2)] == [[1, None], [1, None]]


def test_windows_count_right_for_callers_at_once():
    with serve(lambda graph: graph.to(SampleWindow(10)).respond(), "sync") as server:
        bodies = together(server, *[1] * 200)
    assert sum(body == 1 for body in bodies) == 20


@engines
def test_the_last_of_each_key_that_did_not_go_on_is_kept_for_the_end(engine):
    step = SampleWindow(2, emit_before_termination=True, key="k")
    one(
        engine, step, {"k": "a", "n": 1}, {"k": "a", "n": 2}, {"k": "a", "n": 3}, {"k": "b", "n": 4}, {"k": "b", "n": 5}
    )
    assert [event.body["n"] for event in step.at_end()] == [5]
    assert step.at_end() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [({"window_size": 1}, "at least 2"), ({"window_size": 2, "emit_period": "FRIST"}, "did you mean 'FIRST'")],
)
def test_a_window_that_cannot_be_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        SampleWindow(**options)


def test_many_callers_and_sizes_leave_no_event_behind():
    with serve(batches("(event)", max_events=7, flush_after_seconds=0.01)) as server:
        answers = []
        lock = threading.Lock()

        def ask(number):
            answer = server.test(body=number)
            with lock:
                answers.append((number, answer))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [(number, number) for number in range(60)]
