import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph import Event, storey
from servegraph.pipeline.emitting import event_of, key_of


@pytest.mark.parametrize(
    ("body", "field", "key"),
    [
        ({"a": 1}, "a", 1),
        ({"a": 0}, "a", 0),
        ({"a": 1, "b": 2}, ["a", "b"], [1, 2]),
        ([5, 6], 1, 6),
        ([5, 6], [1, 0], [6, 5]),
        ("text", "a", None),
    ],
)
def test_the_key_of_a_body_is_in_its_key_field(body, field, key):
    assert event_of(body, key_field=field).key == key


@given(st.one_of(st.integers(), st.text(), st.booleans()))
def test_a_key_that_is_given_counts_before_the_one_in_the_body(key):
    assert event_of({"a": "other"}, key, "a").key == key


@pytest.mark.parametrize(("body", "told"), [({"b": 1, "c": 2}, "it has b, c"), ([1], "it has a list of 1")])
def test_a_missing_key_is_said(body, told):
    with pytest.raises(KeyError, match=f"no key field 'a': {told}"):
        event_of(body, key_field="a")


def test_several_fields_make_a_list():
    assert key_of({"a": 1, "b": 2}, ("b", "a")) == [2, 1]


def test_an_event_that_is_emitted_stays_as_it_is():
    event = Event({"a": 1}, "own", "id-1", path="/p")
    emitted = event_of(event)
    emitted.body = 2
    assert (event.body, emitted.key, emitted.id, emitted.path) == ({"a": 1}, "own", "id-1", "/p")


def test_an_events_own_key_counts_unless_the_source_has_a_key_field():
    assert event_of(Event({"a": 1}, "own"), key_field="a").key == 1


def test_what_looks_like_an_event_is_one():
    class Foreign:
        id = "foreign-1"
        body = {"a": 1}
        path = "/there"

    event = event_of(Foreign(), key_field="a")
    assert (event.id, event.body, event.key, event.path) == ("foreign-1", {"a": 1}, 1, "/there")


def test_a_wrapped_event_is_unwrapped():
    event = event_of({"full_event_wrapper": True, "body": {"a": 1}, "key": "k", "id": "i"})
    assert (event.body, event.key, event.id) == ({"a": 1}, "k", "i")


def test_one_event_may_be_emitted_many_times():
    event = Event(1)
    controller = storey.build_flow([storey.SyncEmitSource(), storey.Map(lambda x: x + 1), storey.Complete()]).run()
    assert [controller.emit(event).await_result(10) for _ in range(3)] == [2, 2, 2]
    controller.terminate(wait=True)


@pytest.mark.parametrize(
    "moment", [0, 0.0, "1970-01-01T00:00:00+00:00", "1970-01-01", datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)]
)
def test_the_time_of_an_event_is_aware_however_it_is_given(moment):
    event = storey.Event(1, processing_time=moment)
    assert event.time == datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def test_events_of_storey_are_events():
    event = storey.Event(1, "k", None, "i", {"A": "b"}, "GET", "/p", "text/plain")
    assert type(event) is Event
    assert isinstance(event, storey.Event)
    assert not isinstance(1, storey.Event)
    assert (event.key, event.id, event.headers["a"], event.method, event.path) == ("k", "i", "b", "GET", "/p")


def test_a_context_holds_parameters_and_secrets():
    context = storey.Context({"s": "1"}, {"p": 2})
    context.set_param("q", 3)
    context.set_secret("t", "4")
    step = storey.Map(lambda body, context: (context.get_param("q"), context.get_secret("t")), pass_context=True)
    controller = storey.build_flow([storey.SyncEmitSource(context=context), step, storey.Complete()]).run()
    assert controller.emit(1).await_result(10) == (3, "4")
    controller.terminate(wait=True)
