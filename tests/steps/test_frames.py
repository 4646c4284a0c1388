import datetime

import pandas
import pytest

from servegraph.events import Event
from servegraph.steps.frames import ReduceToDataFrame, ToDataFrame

FIRST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def reduced(*events, **options):
    step = ReduceToDataFrame(**options)
    step.post_init()
    for event in events:
        step.do_event(event)
    return step.result


def test_dicts_become_rows():
    frame = reduced(Event({"a": 1}), Event({"a": 2, "b": 3}))
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame([{"a": 1}, {"a": 2, "b": 3}]))


def test_lists_become_rows_of_the_columns():
    assert reduced(Event([1, 2]), Event([3, 4]), columns=["a", "b"]).to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert reduced(Event([1, 2])).to_dict("list") == {0: [1], 1: [2]}


def test_key_time_and_id_can_be_columns():
    options = {
        "insert_key_column_as": "k",
        "insert_processing_time_column_as": "t",
        "insert_id_column_as": "i",
        "columns": ["a"],
    }
    frame = reduced(Event({"a": 1, "left": 0}, "key", "id", time=FIRST), **options)
    assert frame.to_dict("records") == [{"a": 1, "k": "key", "t": FIRST, "i": "id"}]


def test_list_keys_fill_several_columns():
    frame = reduced(Event({"a": 1}, ["x", "y"]), insert_key_column_as=["k1", "k2"], index=["k1", "k2"])
    assert frame.index.tolist() == [("x", "y")]


def test_no_events_make_an_empty_frame():
    assert reduced(index="a").empty


def test_other_bodies_are_refused():
    with pytest.raises(ValueError, match="needs dict or list bodies, not int"):
        reduced(Event(1))


def test_a_part_of_the_body_can_be_the_row():
    assert reduced(Event({"row": {"a": 1}}), input_path="row").to_dict("records") == [{"a": 1}]


def test_a_start_forgets_the_rows():
    step = ReduceToDataFrame()
    step.do_event(Event({"a": 1}))
    step.post_init()
    assert step.result.empty


@pytest.mark.parametrize("body", [[{"a": 1}, {"a": 2}], ({"a": 1}, {"a": 2}), pandas.DataFrame({"a": [1, 2]})])
def test_a_body_of_rows_becomes_a_frame(body):
    assert ToDataFrame(columns=["a"]).do(body).to_dict("list") == {"a": [1, 2]}


def test_a_single_row_becomes_a_frame_too():
    assert ToDataFrame(index="a").do({"a": 1, "b": 2}).loc[1, "b"] == 2
