import math

import pytest
from tests.steps.serving import engines, one, serve

from servegraph.errors import GraphError
from servegraph.steps.validate import FeaturesetValidator

NAME = "mlrun.feature_store.steps.FeaturesetValidator"
RULES = {
    "age": {"type": "int", "min": 0, "max": 130, "required": True},
    "name": {"type": "str", "min_len": 1, "max_len": 5, "regex": "[a-z]*"},
    "sex": {"choices": ["f", "m"]},
}
RIGHT = {"age": 3, "name": "ann", "sex": "f", "other": object}


@engines
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"age": -1}, "'age' is -1, below 0"),
        ({"age": 131}, "'age' is 131, above 130"),
        ({"age": "3"}, "'age' must be int, not str"),
        ({"age": True}, "'age' must be int, not bool"),
        ({"age": None}, "'age' is missing"),
        ({"age": math.nan}, "'age' is missing"),
        ({"name": ""}, "'name' has length 0, below 1"),
        ({"name": "annabel"}, "'name' has length 7, above 5"),
        ({"name": "Ann"}, "'name' is 'Ann', which does not match '[a-z]*'"),
        ({"sex": "x"}, "'sex' is 'x', which is none of ['f', 'm']"),
    ],
)
def test_an_event_that_breaks_a_rule_is_refused(engine, change, told):
    wrong = {**RIGHT, **change}
    wrong.pop("other")
    assert one(engine, NAME, wrong, rules=RULES) == [(400, told)]


@engines
def test_an_event_that_keeps_the_rules_passes_and_what_is_not_required_may_be_missing(engine):
    bodies = [{"age": 3}, {"age": 0, "name": None}, [{"age": 1}, {"age": 2}]]
    assert one(engine, NAME, *bodies, rules=RULES) == bodies


@engines
def test_all_violations_are_told_at_once_with_their_row(engine):
    ((_, error),) = one(engine, NAME, [{"age": 1}, {"age": -1, "sex": "x"}], rules=RULES)
    assert error == "row 1: 'age' is -1, below 0; row 1: 'sex' is 'x', which is none of ['f', 'm']"


@engines
def test_violations_can_drop_the_event_or_be_reported(engine, caplog):
    assert one(engine, NAME, {"age": -1}, {"age": 1}, rules=RULES, policy="drop") == [None, {"age": 1}]
    assert one(engine, NAME, {"age": -1}, rules=RULES, policy="report") == [{"age": -1}]
    assert "breaks rules in step 'step': 'age' is -1, below 0" in caplog.text
    answers = one(engine, NAME, {"age": -1}, {"age": 1}, rules=RULES, policy="report", result_path="wrong")
    assert [body["wrong"] for body in answers] == [["'age' is -1, below 0"], []]


@engines
def test_only_the_named_columns_are_looked_at_in_the_named_part(engine):
    body = {"row": {"age": 1, "sex": "x"}}
    assert one(engine, NAME, body, rules=RULES, columns=["age"], input_path="row") == [body]


def test_a_limit_of_another_kind_is_a_violation_and_no_crash():
    ((status, error),) = one("sync", NAME, {"a": "text"}, rules={"a": {"min": 0}})
    assert (status, error) == (400, "'a' is 'text', below 0")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rules": {"a": {"mni": 1}}}, "unknown rule 'mni'.*did you mean 'min'"),
        ({"rules": {"a": {"type": "integer"}}}, "a rule's type must be one of"),
        ({"rules": {}, "policy": "dorp"}, "did you mean 'drop'"),
    ],
)
def test_rules_that_cannot_be_are_refused_when_the_graph_starts(options, told):
    with pytest.raises(GraphError, match=told):
        serve(lambda graph: graph.to(FeaturesetValidator, **options))
