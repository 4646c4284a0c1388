import pytest

from servegraph.steps.functions import Map
from servegraph.steps.linking import Linked, Wrapped, following, recovery


class Own(Linked):
    """A user's class need not call the constructor."""

    def __init__(self):
        pass


def test_to_returns_the_step_that_follows():
    first, second, third = Own(), Map(str), Own()
    assert first.to(second).to(third) is third
    assert (following(first), following(second), following(third)) == ([second], [third], [])


def test_several_steps_may_follow_one():
    first, second, third = Own(), Own(), Own()
    first.to(second)
    first.to(third)
    assert following(first) == [second, third]


def test_a_recovery_step_is_kept_beside_those_that_follow():
    guarded, saving = Own(), Own()
    assert guarded.set_recovery_step(saving) is guarded
    assert (recovery(guarded), following(guarded), recovery(saving)) == (saving, [], None)


@pytest.mark.parametrize("link", [Own().to, Own().set_recovery_step])
def test_only_step_objects_are_linked(link):
    with pytest.raises(TypeError, match=r"step object.* such as storey.Map\(fn\), not str"):
        link("storey.Map")


def test_what_cannot_be_linked_is_wrapped():
    thing = object()
    wrapped = Own().to(Wrapped(thing))
    assert wrapped.step is thing
