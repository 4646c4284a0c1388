"""Small graphs with answers that are known: chains, joins, error handlers, streams, cycles, batches."""

from tests.steps.serving import engines, serve

import servegraph
from servegraph.serving import Merge


class Tag:
    def __init__(self, name=None, suffix=""):
        self.name = name
        self.suffix = suffix

    def do(self, body):
        return [*body, self.name + self.suffix]


def boom(body):
    raise ValueError("bad")


def keep(event):
    event.body = {"handled": str(event.error), "from": event.origin_state}
    return event


def chunks(body):
    for number in range(3):
        yield {"i": body + number}


class Loop:
    def do(self, body):
        return body + 1

    def select_outlets(self, body):
        return ["out"] if body >= 5 else ["l"]


@engines
def test_steps_in_a_chain(engine):
    with serve(lambda graph: graph.to("Tag", "a").to("Tag", "b", suffix="!").respond(), engine) as server:
        assert server.test(body=[]) == ["a", "b!"]


@engines
def test_branches_that_merge(engine):
    def define(graph):
        root = graph.to("Tag", "r")
        root.to("Tag", "a")
        root.to("Tag", "b")
        graph.add_step(Merge(name="m"), after=["a", "b"]).respond()

    with serve(define, engine) as server:
        assert server.test(body=[]) == [["r", "a"], ["r", "b"]]


@engines
def test_an_error_handler_answers_in_place_of_what_follows(engine):
    def define(graph):
        graph.to(name="a", handler="boom").error_handler(name="c", handler="keep", full_event=True)
        graph.add_step(name="z", handler="({**event, 'z': 1})", after="a").respond()

    with serve(define, engine) as server:
        assert server.test(body=1) == {"handled": "bad", "from": "a"}


@engines
def test_an_error_handler_goes_on_at_a_later_step(engine):
    def define(graph):
        failing = graph.to(name="a", handler="boom")
        failing.to(name="y", handler="({**event, 'y': 1})").to(name="z", handler="({**event, 'z': 1})").respond()
        graph["a"].error_handler(name="c", handler="keep", full_event=True, before="z")

    with serve(define, engine) as server:
        assert server.test(body=1) == {"handled": "bad", "from": "a", "z": 1}


@engines
def test_a_generator_streams_through_the_next_step(engine):
    with serve(lambda graph: graph.to(handler="chunks").to(handler="({**event, 'b': 1})").respond(), engine) as server:
        assert list(server.test(body=10)) == [{"i": 10, "b": 1}, {"i": 11, "b": 1}, {"i": 12, "b": 1}]


@engines
def test_a_collector_ends_a_stream(engine):
    with serve(
        lambda graph: graph.to(handler="chunks").to("storey.Collector").to(handler="(len(event))").respond(), engine
    ) as server:
        assert server.test(body=10) == 3


def cyclic(**options):
    fn = servegraph.new_function("cyclic", kind="serving")
    graph = fn.set_topology("flow", allow_cyclic=True, **options)
    graph.to("Loop", "l", cycle_to=["l"]).to(name="out", handler="({'done': event})").respond()
    return fn.to_mock_server()


def test_a_step_leads_back_to_itself_until_it_chooses_to_leave():
    with cyclic() as server:
        assert server.test(body=0) == {"done": 5}


def test_a_cycle_is_bounded():
    with cyclic(max_iterations=3) as server:
        answer = server.test(body=0, silent=True, event_id="E")
        assert answer.body["error"].startswith("Max iterations exceeded in step 'l' for event E")
