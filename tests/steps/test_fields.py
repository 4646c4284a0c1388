import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.steps.serving import engines, one, serve

from servegraph.errors import BadEvent, GraphError
from servegraph.events import Event
from servegraph.steps.fields import DropColumns, DropFeatures, ReifyMetadata, Rename, SetEventMetadata

NAMES = st.sampled_from("abcd")


@engines
def test_fields_are_renamed_and_dropped_in_dicts_and_lists_of_dicts(engine):
    rows = [{"a": 1, "b": 2}, {"b": 3}]
    assert one(engine, "storey.Rename", rows, mapping={"a": "x"}) == [[{"b": 2, "x": 1}, {"b": 3}]]
    assert one(engine, "storey.DropColumns", rows, columns="a") == [[{"b": 2}, {"b": 3}]]
    assert one(engine, "storey.flow.DropColumns", rows[0], columns=["a", "zz"]) == [{"b": 2}]
    assert one(engine, "mlrun.feature_store.steps.DropFeatures", rows, features=["b"]) == [[{"a": 1}, {}]]


@engines
@pytest.mark.parametrize("full_event", [None, True])
def test_row_steps_work_on_the_part_they_are_told_of(engine, full_event):
    answers = one(
        engine, Rename, {"r": {"a": 1}}, mapping={"a": "b"}, input_path="r", result_path="r", full_event=full_event
    )
    assert answers == [{"r": {"b": 1}}]


@given(st.dictionaries(NAMES, st.integers()), st.dictionaries(NAMES, NAMES))
def test_rename_moves_every_value_and_loses_none_but_those_it_overwrites(row, mapping):
    before = dict(row)
    new = Rename(mapping).do(row)
    assert row == before
    assert set(new) == {mapping.get(name, name) for name in row}
    assert set(new.values()) <= set(row.values())


def test_a_field_renamed_to_itself_stays_and_two_can_change_places():
    assert Rename({"a": "a"}).do({"a": 1}) == {"a": 1}
    assert Rename({"a": "b", "b": "a"}).do({"a": 1, "b": 2}) == {"b": 1, "a": 2}


def test_no_row_step_changes_the_row_it_is_given():
    row = {"a": 1, "b": 2}
    for step in (Rename({"a": "x"}), DropColumns("a"), DropFeatures("a")):
        step.do(row)
    assert row == {"a": 1, "b": 2}


def test_a_feature_that_is_not_there_cannot_be_dropped():
    with pytest.raises(BadEvent, match="no feature 'agee' to drop; did you mean 'age'"):
        DropFeatures(["agee"]).do({"age": 1})


@pytest.mark.parametrize("body", [3, "text", None, [1]])
def test_a_body_that_is_no_row_is_a_bad_event(body):
    with pytest.raises(BadEvent, match="Rename needs a dict or a list of dicts"):
        Rename({}).do(body)


@engines
def test_metadata_goes_into_the_body_and_comes_from_it(engine):
    def define(graph):
        graph.to("mlrun.feature_store.steps.SetEventMetadata", id_path="who.id", key_path="k").to(
            "storey.ReifyMetadata", mapping={"id": "event_id", "key": "event_key"}
        ).respond()

    with serve(define, engine) as server:
        answer = server.test(body={"who": {"id": 7}, "k": "a"})
        assert (answer["event_id"], answer["event_key"]) == ("7", "a")


def test_attributes_can_be_named_alone_and_go_to_a_path():
    event = ReifyMetadata(["path"], result_path="meta").do_event(Event({}, path="/p"))
    assert event.body == {"meta": {"path": "/p"}}
    with pytest.raises(BadEvent, match="no attribute 'pth'; did you mean 'path'"):
        ReifyMetadata(["pth"]).do_event(Event({}))
    with pytest.raises(BadEvent, match="needs a dict to add to, not int"):
        ReifyMetadata(["path"]).do_event(Event(3))


@engines
@pytest.mark.parametrize("body", [{}, {"k": None}, 3, None])
def test_an_event_without_its_key_is_refused_and_never_named_none(engine, body):
    ((status, error),) = one(engine, SetEventMetadata, body, key_path="k")
    assert status == 400
    assert "the event's key should be at 'k'" in error


def test_a_random_id_is_new_for_each_event():
    step = SetEventMetadata(random_id=True)
    ids = {step.do_event(Event({}, id="x")).id for _ in range(10)}
    assert len(ids) == 10


def test_a_result_path_where_nothing_is_written_is_refused():
    with pytest.raises(GraphError, match="a result_path has nothing to write"):
        serve(lambda graph: graph.to(SetEventMetadata, key_path="k", result_path="r"))
