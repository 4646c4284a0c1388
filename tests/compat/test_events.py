import datetime

from servegraph import Event
from servegraph import Response as OurResponse
from servegraph.compat.events import MockEvent, Response


def test_mock_events_are_events():
    event = MockEvent({"a": 1}, "application/json", {"X": "y"}, "PUT", "/p", "i", offset=3, time=0)
    assert type(event) is Event
    assert isinstance(event, MockEvent)
    assert (event.id, event.path, event.method, event.headers["x"], event.offset) == ("i", "/p", "PUT", "y", 3)
    assert event.time == datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert (MockEvent().method, MockEvent(0).method) == ("GET", "POST")


def test_responses_take_their_arguments_in_the_order_that_users_know():
    response = Response({"a": "b"}, "text", "text/plain", 418)
    assert isinstance(response, OurResponse)
    assert (response.headers, response.body, response.content_type, response.status_code) == (
        {"a": "b"},
        "text",
        "text/plain",
        418,
    )
