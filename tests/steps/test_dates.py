import datetime

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.steps.serving import engines, one, serve

from servegraph.errors import BadEvent, GraphError
from servegraph.steps.dates import DateExtractor

PARTS = [
    "year", "month", "day", "hour", "minute", "second", "microsecond", "quarter", "week", "day_of_week",
    "day_of_year", "days_in_month", "is_leap_year", "is_month_start", "is_month_end", "is_quarter_start", "is_quarter_end", "is_year_start", "is_year_end",
]  # fmt: skip


@engines
def test_parts_of_a_date_become_features(engine):
    answers = one(
        engine,
        "mlrun.feature_store.steps.DateExtractor",
        {"t": "2024-02-29T13:05:00Z"},
        parts=["hour", "is_month_end"],
        timestamp_col="t",
    )
    assert answers == [{"t": "2024-02-29T13:05:00Z", "t_hour": 13, "t_is_month_end": True}]


@given(st.datetimes(min_value=datetime.datetime(1700, 1, 1), max_value=datetime.datetime(2200, 1, 1)))
def test_every_part_is_what_pandas_says(moment):
    found = DateExtractor(PARTS).do({"timestamp": moment})
    expected = pandas.Timestamp(moment)
    assert {part: found[f"timestamp_{part}"] for part in PARTS} == {part: getattr(expected, part) for part in PARTS}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("dayofweek", "day_of_week"),
        ("weekofyear", "week"),
        ("dayofyear", "day_of_year"),
        ("daysinmonth", "days_in_month"),
    ],
)
def test_the_older_names_of_parts_are_known(name, part):
    found = DateExtractor([name, part]).do({"timestamp": "2024-05-17"})
    assert found[f"timestamp_{name}"] == found[f"timestamp_{part}"]


@pytest.mark.parametrize(
    "value",
    [
        0,
        0.0,
        "1970-01-01",
        "1970-01-01T00:00:00+00:00",
        datetime.date(1970, 1, 1),
        pandas.Timestamp(0),
        pandas.Timestamp(0).to_datetime64(),
    ],
)
def test_a_date_may_come_as_number_text_or_object(value):
    assert DateExtractor({"year": "y", "hour": "h"}).do({"timestamp": value}) == {"timestamp": value, "y": 1970, "h": 0}


@pytest.mark.parametrize(
    ("row", "told"), [({"timestmp": 1}, "did you mean 'timestmp'"), ({"timestamp": "soon"}, "no date")]
)
def test_an_event_without_a_date_is_a_bad_event(row, told):
    with pytest.raises(BadEvent, match=told):
        DateExtractor(["hour"]).do(row)


def test_a_part_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(GraphError, match=r"no 'hours'.*did you mean 'hour'"):
        serve(lambda graph: graph.to("mlrun.feature_store.steps.DateExtractor", parts=["hours"]))
