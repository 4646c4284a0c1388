import asyncio
import subprocess
import sys

import pandas
import pytest

from servegraph import storey

FRAME = pandas.DataFrame({"name": ["a", "b", None, "d"], "age": [1, 2, 3, 4]})


def collect(into, body):
    into.append(body)
    return into


def rows(*frames, **options):
    return (
        storey.build_flow([storey.DataframeSource(*frames, **options), storey.Reduce([], collect)])
        .run()
        .await_termination()
    )


def events(source):
    end = storey.Reduce([], collect, full_event=True)
    return storey.build_flow([source, end]).run().await_termination()


def test_each_row_is_an_event():
    assert rows(FRAME) == FRAME.to_dict("records")


def test_several_frames_come_one_after_the_other():
    assert [row["age"] for row in rows([FRAME, FRAME])] == [1, 2, 3, 4, 1, 2, 3, 4]


def test_frames_of_many_rows_come_whole_and_in_order():
    assert [row["n"] for row in rows(pandas.DataFrame({"n": range(2500)}))] == list(range(2500))


def test_rows_without_a_key_are_left_out():
    assert [(event.key, event.body["age"]) for event in events(storey.DataframeSource(FRAME, "name"))] == [
        ("a", 1),
        ("b", 2),
        ("d", 4),
    ]


def test_several_key_columns_make_list_keys():
    assert [event.key for event in events(storey.DataframeSource(FRAME, ["name", "age"]))] == [
        ["a", 1],
        ["b", 2],
        ["d", 4],
    ]


def test_ids_come_from_a_column():
    assert [event.id for event in events(storey.DataframeSource(FRAME, id_field="age"))] == ["1", "2", "3", "4"]


def test_named_levels_of_the_index_are_columns():
    frame = FRAME.dropna().set_index("name")
    assert next((event.key, event.body) for event in events(storey.DataframeSource(frame, "name"))) == (
        "a",
        {"name": "a", "age": 1},
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key_field": "nam"}, "key column 'nam' is missing from dataframe; did you mean 'name'?"),
        ({"key_field": ["name", "x"]}, "key column 'x' is missing from dataframe"),
        ({"id_field": "x"}, "id column 'x' is missing from dataframe"),
        ({"id_field": 1}, "id_field names a column, it is not int"),
    ],
)
def test_a_column_that_is_not_there_is_said_at_once(options, told):
    with pytest.raises(ValueError) as raised:
        storey.DataframeSource(FRAME, **options)
    assert str(raised.value) == told


def test_a_flow_of_frames_runs_on_the_callers_loop_too():
    source = storey.build_flow([storey.DataframeSource(FRAME), storey.Reduce(0, lambda total, row: total + row["age"])])
    assert asyncio.run(source.run_async()) == 10


def test_an_error_ends_the_flow_and_is_raised_at_its_end():
    seen = []

    def fail(row):
        seen.append(row)
        raise OverflowError("too much")

    awaiter = storey.build_flow([storey.DataframeSource(pandas.DataFrame({"n": range(5000)})), storey.Map(fail)]).run()
    for _ in range(2):
        with pytest.raises(OverflowError, match="too much"):
            awaiter.await_termination()
    assert len(seen) < 5000


def test_reduce_to_data_frame_makes_one_frame_of_all_events():
    steps = [
        storey.DataframeSource(FRAME, "name", "age"),
        storey.ReduceToDataFrame(index="age", insert_key_column_as="key"),
    ]
    frame = storey.build_flow(steps).run().await_termination()
    assert frame.index.tolist() == [1, 2, 4]
    assert frame["key"].tolist() == ["a", "b", "d"]


def test_a_frame_goes_through_a_flow_unchanged():
    frame = storey.build_flow([storey.DataframeSource(FRAME), storey.ReduceToDataFrame()]).run().await_termination()
    pandas.testing.assert_frame_equal(frame, FRAME)


def test_batches_become_frames():
    steps = [
        storey.DataframeSource(FRAME),
        storey.Batch(2, full_event=False),
        storey.ToDataFrame(columns=["age"]),
        storey.Map(lambda frame: frame["age"].sum()),
        storey.Reduce([], collect),
    ]
    assert storey.build_flow(steps).run().await_termination() == [3, 7]


def test_pandas_is_imported_only_where_frames_are_made():
    code = """
import sys
from servegraph import storey
controller = storey.build_flow([storey.SyncEmitSource(), storey.Map(lambda x: x), storey.Complete()]).run()
print(controller.emit(1).await_result(), storey.DataframeSource.__name__, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1 DataframeSource False\n"
