import pytest
from tests.steps.serving import engines, one, serve

from servegraph.storey import Assert


@engines
def test_each_event_is_held_against_the_predicate(engine):
    step = Assert().each_event(lambda body: body > 1)
    (_, error), passed = one(engine, step, 1, 2)
    assert error == "<lambda> is false for 1"
    assert passed == 2


CHECKS = [
    (lambda: Assert().exactly(3), True),
    (lambda: Assert().exactly(2), False),
    (lambda: Assert().greater_than(2).less_than(4), True),
    (lambda: Assert().greater_than(3), False),
    (lambda: Assert().less_than(3), False),
    (lambda: Assert().greater_or_equal_to(3).less_or_equal_to(3), True),
    (lambda: Assert().greater_or_equal_to(4), False),
    (lambda: Assert().less_or_equal_to(2), False),
    (lambda: Assert().match_exactly([2, 1, 1]), True),
    (lambda: Assert().match_exactly([1, 2, 2]), False),
    (lambda: Assert().match_exactly([1, 2]), False),
    (lambda: Assert().contains_all_of([1, 2]), True),
    (lambda: Assert().contains_all_of([1, 3]), False),
    (lambda: Assert().contains_any_of([3, 1]), True),
    (lambda: Assert().contains_any_of([3]), False),
    (lambda: Assert().contains_none_of([3]), True),
    (lambda: Assert().contains_none_of([1, 3]), False),
]


@pytest.mark.parametrize(("make", "holds"), CHECKS)
def test_what_came_is_held_against_what_was_said(make, holds):
    step = make()
    one("sync", step, 1, 2, 1)
    if holds:
        step.check()
    else:
        with pytest.raises(AssertionError, match="expected"):
            step.check()


@engines
def test_what_came_is_as_it_was_then_and_forgotten_by_the_next_server(engine):
    step = Assert().match_exactly([[1]])

    def define(graph):
        graph.to(step).to(handler=lambda body: body.append(2)).respond()

    for _ in range(2):
        with serve(define, engine) as server:
            server.test(body=[1])
        step.check()


@engines
def test_events_or_parts_of_bodies_can_be_checked(engine):
    one(engine, Assert(full_event=True).each_event(lambda event: event.path == "/"), 1)
    step = Assert(input_path="n").match_exactly([3])
    one(engine, step, {"n": 3})
    step.check()
