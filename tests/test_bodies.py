"""Copies of bodies, which share nothing that could be changed."""

import numpy as np
import pytest

from servegraph.bodies import copy_body

BODIES = [0, None, "a", [1, {"a": (2, [3])}], {"a": {1, 2}, "b": bytearray(b"x")}, (1, [2]), [frozenset({1})]]


@pytest.mark.parametrize("body", BODIES)
def test_a_copy_is_equal_and_of_the_same_type(body):
    copied = copy_body(body)
    assert copied == body
    assert type(copied) is type(body)


def test_what_can_be_changed_is_the_copys_own():
    body = {"rows": [[1]], "array": np.zeros(2), "pair": ([1],)}
    copied = copy_body(body)
    copied["rows"][0].append(2)
    copied["array"][0] = 1
    copied["pair"][0].append(2)
    assert (body["rows"], body["array"].tolist(), body["pair"]) == ([[1]], [0, 0], ([1],))


def within(body):
    return next(iter(body.values() if isinstance(body, dict) else body))


@pytest.mark.parametrize("wrap", [lambda body: [body], lambda body: {"a": body}, lambda body: (body, 1)])
def test_any_depth_is_copied(wrap):
    body = innermost = [1]
    for _ in range(5000):
        body = wrap(body)
    copied = copy_body(body)
    while body is not innermost:
        assert type(copied) is type(body)
        copied, body = within(copied), within(body)
    assert copied == [1]
    assert copied is not innermost


def test_a_body_that_contains_itself_is_copied():
    body = {"rows": []}
    body["rows"].append(body)
    copied = copy_body(body)
    assert copied is not body
    assert copied["rows"][0] is copied


def test_what_cannot_be_copied_says_so():
    with pytest.raises(TypeError):
        copy_body([(each for each in ())])
