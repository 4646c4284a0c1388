import pytest

from servegraph.errors import BadEvent
from servegraph.events import Event
from servegraph.steps.keys import expression, key_reader, read_key


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", 1), ("b.c", 2), ("$key", "k"), ("$path", "/p"), (lambda event: event.body["a"] + 1, 2), (None, None)],
)
def test_an_event_is_known_by_a_field_an_attribute_or_a_function(key, value):
    event = Event({"a": 1, "b": {"c": 2}}, key="k", path="/p")
    assert read_key(key_reader(key, "key"), event, "key") == value


def test_a_list_is_a_key_as_a_tuple_and_a_dict_is_none():
    assert read_key(lambda event: [1, 2], Event(), "key") == (1, 2)
    with pytest.raises(BadEvent, match="key gives dict, which cannot be a key"):
        read_key(lambda event: {}, Event(), "key")


@pytest.mark.parametrize("key", [3, "", "$"])
def test_what_names_no_key_is_refused(key):
    with pytest.raises(ValueError, match="the key"):
        key_reader(key, "the key")


def test_an_expression_is_one_of_event_and_may_use_builtins():
    assert expression("str(event['k'])", "key")({"k": 1}) == "1"
    assert expression("[n for n in event]", "key")([1]) == [1]
    assert expression("(lambda x: x)(event)", "key")(2) == 2
