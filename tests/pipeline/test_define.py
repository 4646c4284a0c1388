import functools

import pytest

from servegraph import storey
from servegraph.pipeline.define import define


def collect(into, body):
    into.append(body)
    return into


def end_of(source, *bodies):
    controller = source.run()
    for body in bodies:
        controller.emit(body)
    return controller.terminate(wait=True)


def arrows(source):
    graph = define(source)
    return {name: list(step.spec.after) for name, step in graph.steps.items()}


def named(name):
    return storey.Map(lambda x: x, name=name)


def test_a_list_is_a_chain():
    assert arrows(storey.build_flow([storey.SyncEmitSource(), named("a"), named("b")])) == {"a": [], "b": ["a"]}


def test_a_list_inside_is_a_branch_of_the_step_before_it():
    source = storey.build_flow(
        [storey.SyncEmitSource(), named("a"), [named("b"), named("c")], [named("d"), [named("e")]], named("f")]
    )
    assert arrows(source) == {"a": [], "b": ["a"], "c": ["b"], "d": ["a"], "e": ["d"], "f": ["a"]}


def test_branches_may_follow_the_source():
    assert arrows(storey.build_flow([storey.SyncEmitSource(), [named("a")], [named("b")]])) == {"a": [], "b": []}


def test_an_empty_flow_is_refused():
    with pytest.raises(ValueError, match="empty flow"):
        storey.build_flow([])


def test_steps_are_linked_to_diamonds():
    source, left, right, last = storey.SyncEmitSource(), named("left"), named("right"), storey.Reduce([], collect)
    source.to(left).to(last)
    source.to(right).to(last)
    assert end_of(source, 1, 2) == [1, 1, 2, 2]


def test_a_step_may_follow_the_source_and_another_step():
    source, between, last = storey.SyncEmitSource(), storey.Map(lambda x: -x), storey.Reduce([], collect)
    source.to(last)
    source.to(between).to(last)
    assert sorted(end_of(source, 1)) == [-1, 1]


def test_what_a_branch_changes_no_other_sees():
    def add(body):
        body["seen"].append("first")
        return body

    source = storey.build_flow([storey.SyncEmitSource(), [storey.Map(add)], storey.Reduce([], collect)])
    assert end_of(source, {"seen": []}) == [{"seen": []}]


def test_steps_of_one_name_get_names_of_their_own():
    steps = [storey.Map(lambda x: x + 1) for _ in range(3)]
    assert list(arrows(storey.build_flow([storey.SyncEmitSource(), *steps]))) == ["Map", "Map-2", "Map-3"]


def test_functions_and_plain_objects_are_steps():
    class Times:
        def __init__(self, factor):
            self.factor = factor

        def do(self, body):
            return body * self.factor

    steps = [lambda x: x + 1, Times(10), functools.partial(max, 25), storey.Reduce([], collect)]
    assert end_of(storey.build_flow([storey.SyncEmitSource(), *steps]), 1, 2) == [25, 30]


def test_a_class_is_told_from_an_object_of_it():
    with pytest.raises(TypeError, match=r"Flatten is a class; a flow needs an object of it: Flatten\(...\)"):
        storey.build_flow([storey.SyncEmitSource(), storey.Flatten])


class Down(storey.Choice):
    def select_outlets(self, body):
        return "down" if body else "end"


def test_a_step_that_leads_back_makes_a_loop():
    source, choice, down = storey.SyncEmitSource(), Down(name="choice"), storey.Map(lambda x: x - 1, name="down")
    source.to(choice).to(down).to(choice)
    choice.to(storey.Reduce([], collect, name="end"))
    assert end_of(source, 3, 200) == [0, 0]


def test_options_of_a_step_object_count():
    steps = [
        storey.Map(lambda x: x + 1, input_path="a.b", result_path="c"),
        storey.Map(lambda event: event, full_event=True),
        storey.Reduce([], collect),
    ]
    assert end_of(storey.build_flow([storey.SyncEmitSource(), *steps]), {"a": {"b": 1}}) == [{"a": {"b": 1}, "c": 2}]


def test_the_steps_of_a_flow_keep_to_their_places():
    with pytest.raises(ValueError, match="can only be the first step"):
        storey.Map(lambda x: x).to(storey.SyncEmitSource())
    with pytest.raises(ValueError, match="no step can follow it"):
        storey.Reduce(0, max).to(storey.Map(lambda x: x))
    with pytest.raises(ValueError, match=r"starts with a source, such as storey.SyncEmitSource\(\), not with Map"):
        storey.Map(lambda x: x).run()
    with pytest.raises(TypeError, match="takes step objects"):
        storey.SyncEmitSource().to(print)


def test_recovery_steps_get_what_failed_and_pass_it_on():
    def boom(body):
        raise ValueError(f"bad {body}")

    def saved(event):
        event.body = (event.body, event.origin_state, str(event.error))
        return event

    fails, saves = storey.Map(boom, name="fails"), storey.Map(saved, full_event=True)
    source, last = storey.SyncEmitSource(), storey.Reduce([], collect)
    source.to(fails).to(last)
    fails.set_recovery_step(saves)
    saves.to(last)
    assert end_of(source, 1, 2) == [(1, "fails", "bad 1"), (2, "fails", "bad 2")]


def test_one_recovery_step_may_serve_several_steps_and_be_where_good_events_go():
    def boom(body):
        raise ValueError

    last = storey.Reduce([], collect)
    first = storey.Map(lambda x: x if x else boom(x), name="first").set_recovery_step(last)
    second = storey.Map(lambda x: boom(x) if x > 1 else x, name="second").set_recovery_step(last)
    assert end_of(storey.build_flow([storey.SyncEmitSource(), first, second, last]), 0, 1, 2) == [0, 1, 2]


def test_a_batch_behind_a_recovery_step_is_let_go_at_the_end():
    def boom(body):
        raise ValueError

    fails, batch = storey.Map(boom), storey.Batch(10, full_event=False)
    batch.to(storey.Reduce([], collect))
    source = storey.build_flow([storey.SyncEmitSource(), fails.set_recovery_step(batch)])
    assert end_of(source, 1, 2) == [[1, 2]]


def test_what_a_sample_kept_for_the_end_goes_on_at_the_end():
    sample = storey.SampleWindow(3, emit_before_termination=True)
    source = storey.build_flow(
        [storey.SyncEmitSource(), sample, storey.Batch(10, full_event=False), storey.Reduce([], collect)]
    )
    assert end_of(source, *range(5)) == [[0, 3, 4]]


def test_assert_is_checked_at_the_end():
    source = storey.build_flow([storey.SyncEmitSource(), storey.Assert().exactly(3)])
    assert end_of(source, 1, 2, 3) is None
    with pytest.raises(AssertionError, match="expected event count == 3, got 2 instead"):
        end_of(source, 1, 2)


def test_a_flow_may_be_only_a_source():
    assert end_of(storey.SyncEmitSource(), 1) is None


@pytest.mark.parametrize("size", [0, -1, "8", None])
def test_a_buffer_has_a_size(size):
    with pytest.raises(ValueError, match="Buffer size must be positive"):
        storey.SyncEmitSource(buffer_size=size)
