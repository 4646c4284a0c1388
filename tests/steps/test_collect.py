import pytest
from tests.steps.serving import engines, serve

from servegraph.errors import GraphError
from servegraph.storey import Collector


def chunks(body):
    yield from range(body)


@engines
@pytest.mark.parametrize("count", [0, 1, 3])
def test_collector_makes_a_list_of_a_stream_also_of_one_chunk(engine, count):
    with serve(lambda graph: graph.to(chunks).to("storey.Collector").respond(), engine) as server:
        assert server.test(body=count) == list(range(count))


@engines
def test_collector_gathers_a_part_of_each_chunk_at_a_path(engine):
    def rows(body):
        yield {"n": 1}
        yield {"n": 2}

    def define(graph):
        graph.to(rows).to("storey.steps.Collector", input_path="n", result_path="all").respond()

    with serve(define, engine) as server:
        assert server.test(body=1)["all"] == [1, 2]


@engines
def test_a_stream_reaches_its_collector_through_steps_that_drop_rename_and_remember(engine):
    def define(graph):
        filtered = graph.to(chunks).to("storey.steps.SampleWindow", window_size=3)
        renamed = filtered.to(handler="({'a': event})").to("storey.Rename", mapping={"a": "b"})
        stateful = renamed.to("storey.MapWithState", initial_state=0, fn=lambda row, n: ([row["b"], n], n + 1))
        stateful.to("storey.Collector").respond()

    with serve(define, engine) as server:
        assert server.test(body=7) == [[0, 0], [3, 1], [6, 2]]


@engines
def test_a_stream_that_fails_fails_the_event_of_a_collector(engine):
    def broken(body):
        yield 1
        raise ValueError("late")

    with serve(lambda graph: graph.to(broken).to("storey.Collector").respond(), engine) as server:
        answer = server.test(body=1, silent=True)
        assert (answer.status_code, answer.body["error"]) == (500, "late")


@engines
def test_gather_passes_on_every_event(engine):
    def define(graph):
        graph.to(name="double", handler="(event * 2)").to(name="add3", handler="(event + 3)")
        graph.add_step(name="add2", handler="(event + 2)", after="double")
        graph.add_step("Gather", after=["add2", "add3"]).to(Collector()).respond()

    with serve(define, engine) as server:
        assert sorted(server.test(body=5)) == [12, 13]


def test_a_number_of_completions_that_cannot_be_is_refused():
    with pytest.raises(GraphError, match="expected_completions"):
        serve(lambda graph: graph.to("storey.Collector", expected_completions=0))
