import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.steps.serving import engines, one, serve

from servegraph.errors import GraphError
from servegraph.steps.values import Imputer, MapValues, OneHotEncoder

AGES = {"ranges": {"child": ["-inf", 18], "adult": [18, 65], "old": [65, "inf"]}}


@engines
def test_values_are_mapped_one_by_one_and_by_ranges(engine):
    answers = one(
        engine,
        "mlrun.feature_store.steps.MapValues",
        {"age": 18, "sex": "f", "x": 1},
        {"age": 65.0, "sex": "?"},
        mapping={"age": AGES, "sex": {"f": 0, "m": 1}},
    )
    assert answers == [{"age": "adult", "sex": 0}, {"age": "old", "sex": "?"}]


def test_mapped_values_go_beside_the_original_ones():
    step = MapValues({"age": AGES}, with_original_features=True, suffix="group")
    assert step.do({"age": 3, "x": 1}) == {"age": 3, "age_group": "child", "x": 1}


def test_a_number_finds_its_text_as_json_keys_are_and_what_has_no_new_value_stays():
    step = MapValues({"a": {"1": "one", "true": "yes"}})
    assert step.do({"a": 1}) == {"a": "one"}
    for value in (True, None, [1], {"x": 1}, 2):
        assert step.do({"a": value}) == {"a": value}
    assert MapValues({"a": AGES}).do([{"a": None}, {"a": "x"}, {"a": math.nan}])[:2] == [{"a": None}, {"a": "x"}]


@given(st.floats(allow_nan=False))
def test_every_number_is_in_one_range_where_ranges_leave_no_gap(value):
    new = MapValues({"a": AGES}).do({"a": value})["a"]
    assert new == ("child" if value < 18 else "adult" if value < 65 else "old" if value < math.inf else value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ranges": {"a": [0, 1]}, "x": 1}, "both ranges and single values"),
        ({"ranges": {"a": [0, 2], "b": [1, 3]}}, "ranges 'a' and 'b' of 'f' overlap"),
        ({"ranges": {"a": ["zero", 1]}}, "'zero', which is no number"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(values, told):
    with pytest.raises(ValueError, match=told):
        MapValues({"f": values})


@engines
@pytest.mark.parametrize(
    ("options", "answers"),
    [
        ({}, [{"a": None}, {"a": 1}, {"a": 3}, {"a": 2.0}, {"a": 2.0}]),
        ({"method": "mean"}, [{"a": None}, {"a": 1}, {"a": 3}, {"a": 2.0}, {"a": 2.0}]),
        ({"method": "min"}, [{"a": None}, {"a": 1}, {"a": 3}, {"a": 1}, {"a": 1}]),
        ({"method": "max"}, [{"a": None}, {"a": 1}, {"a": 3}, {"a": 3}, {"a": 3}]),
        ({"method": "last"}, [{"a": None}, {"a": 1}, {"a": 3}, {"a": 3}, {"a": 3}]),
        ({"default_value": 0}, [{"a": 0}, {"a": 1}, {"a": 3}, {"a": 0}, {"a": 0}]),
        ({"default_value": 0, "mapping": {"a": 9}}, [{"a": 9}, {"a": 1}, {"a": 3}, {"a": 9}, {"a": 9}]),
        ({"mapping": {"a": 9}}, [{"a": 9}, {"a": 1}, {"a": 3}, {"a": 9}, {"a": 9}]),
    ],
)
def test_what_is_missing_is_filled_in_by_mapping_default_or_method(engine, options, answers):
    bodies = [{"a": None}, {"a": 1}, {"a": 3}, {"a": None}, {"a": math.nan}]
    assert one(engine, "mlrun.feature_store.steps.Imputer", *bodies, **options) == answers


def test_a_falsy_value_is_not_missing_and_text_has_no_mean():
    assert Imputer(default_value=9).do({"a": 0, "b": "", "c": False}) == {"a": 0, "b": "", "c": False}
    step = Imputer()
    step.do({"a": "text"})
    assert step.do({"a": None}) == {"a": None}


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1))
def test_the_mean_is_that_of_all_values_so_far(values):
    step = Imputer()
    for value in values:
        step.do({"a": value})
    assert step.do({"a": None})["a"] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_a_server_that_starts_again_has_seen_nothing():
    step = Imputer()
    for _ in range(2):
        assert one("sync", step, {"a": None}, {"a": 4}, {"a": None}) == [{"a": None}, {"a": 4}, {"a": 4.0}]


def test_a_method_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(GraphError, match=r"no method 'meen'.*did you mean 'mean'"):
        serve(lambda graph: graph.to("mlrun.feature_store.steps.Imputer", method="meen"))


@engines
def test_a_feature_becomes_one_of_each_category(engine):
    answers = one(
        engine,
        "mlrun.feature_store.steps.OneHotEncoder",
        {"c": "light blue", "x": 1},
        {"c": 3},
        {"c": "pink"},
        mapping={"c": ["light blue", "dark-red", 3]},
    )
    assert answers == [
        {"c_light_blue": 1, "c_dark_red": 0, "c_3": 0, "x": 1},
        {"c_light_blue": 0, "c_dark_red": 0, "c_3": 1},
        {"c_light_blue": 0, "c_dark_red": 0, "c_3": 0},
    ]


def test_unknown_categories_are_warned_of_once_for_each_feature(caplog):
    one("sync", OneHotEncoder, {"c": "x"}, {"c": "y"}, mapping={"c": ["a"]})
    assert [record.message for record in caplog.records] == [
        "OneHotEncoder: 'c' is 'x', which is none of its categories"
    ]


@pytest.mark.parametrize(
    ("categories", "error", "told"),
    [([1.5], TypeError, "1.5"), ([True], TypeError, "True"), (["a b", "a-b"], ValueError, "both be named 'c_a_b'")],
)
def test_categories_that_cannot_be_are_refused(categories, error, told):
    with pytest.raises(error, match=told):
        OneHotEncoder({"c": categories})
