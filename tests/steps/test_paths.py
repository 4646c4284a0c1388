"""Options reach a step in every spelling: given to its constructor, or beside an instance."""

import threading

import pytest
from tests.steps.serving import engines, one, serve, together

import servegraph
from servegraph.storey import Extend, Filter, FlatMap, Map, Rename


@engines
@pytest.mark.parametrize(
    "step",
    [
        lambda **options: Map(lambda n: n + 1, **options),
        lambda **options: Filter(lambda n: n, **options),
        lambda **options: FlatMap(lambda n: [n], **options),
        lambda **options: Extend(lambda n: {"x": n}, **options),
    ],
    ids=["Map", "Filter", "FlatMap", "Extend"],
)
def test_paths_of_an_instance_count_wherever_they_are_given(engine, step):
    paths = {"input_path": "n", "result_path": "r"}
    inside = one(engine, step(**paths), {"n": 1})
    assert inside == one(engine, step(), {"n": 1}, **paths)
    assert inside[0]["n"] == 1
    assert "r" in inside[0]


@engines
def test_full_event_of_an_instance_counts_wherever_it_is_given(engine):
    assert one(engine, Filter(lambda event: event.path == "/", full_event=True), 1) == [1]
    assert one(engine, Filter(lambda event: event.path == "/"), 1, full_event=True) == [1]


def test_paths_of_an_instance_are_kept_in_the_graph_as_data():
    graph = servegraph.new_function("f").set_topology("flow")
    graph.to(Rename({"a": "b"}, input_path="x", result_path="y"), "r").respond()
    step = graph.to_dict()["steps"]["r"]
    assert (step["input_path"], step["result_path"], step["class_args"]) == ("x", "y", {"mapping": {"a": "b"}})


def test_a_method_of_an_instance_is_called_once_at_a_time():
    class Counter:
        def __init__(self):
            self.inside = self.most = 0
            self.lock = threading.Lock()

        def count(self, body):
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            threading.Event().wait(0.002)
            with self.lock:
                self.inside -= 1
            return body

    counter = Counter()
    with serve(lambda graph: graph.to(Map(counter.count)).respond()) as server:
        together(server, *range(16))
    assert counter.most == 1


@engines
def test_a_merge_of_events_is_told_how_many_steps_come_before_it(engine):
    def define(graph):
        graph.to(name="a", handler="({**event, 'from': 'a'})")
        graph.to(name="b", handler="({**event, 'from': 'b'})")
        graph.add_step("mlrun.serving.Merge", "m", after=["a", "b"], key_path="event['k']").respond()

    with serve(define, engine) as server:
        assert sorted(row["from"] for row in server.test(body={"k": 1})) == ["a", "b"]
        assert sorted(row["from"] for row in server.test(body={"k": 1})) == ["a", "b"]
