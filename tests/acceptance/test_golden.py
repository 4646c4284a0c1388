"""The recipes that users of MLRun know by heart, with the answers they expect (statuses are ours), at both doors."""

import pytest
from tests.acceptance.doors import DOORS, opened

import servegraph

doors = pytest.mark.parametrize("door", DOORS)
engines = pytest.mark.parametrize("engine", ["sync", "async"])


class Tag:
    def __init__(self, name, suffix=""):
        self.tag = name + suffix

    def do(self, body):
        return [*body, self.tag]


class Dbl(servegraph.serving.V2ModelServer):
    def load(self):
        self.model = self.get_param("k", 2)

    def predict(self, request):
        return [value * self.model for value in request["inputs"]]

    def op_hello(self, event):
        return {"hi": event.body["who"]}


def boom(body):
    raise ValueError("bad")


def keep(event):
    event.body = {"handled": str(event.error), "from": event.origin_state}
    return event


def flow(engine):
    fn = servegraph.new_function("golden")
    return fn, fn.set_topology("flow", engine=engine)


@doors
@engines
def test_steps_in_a_row_with_arguments(engine, door):
    fn, graph = flow(engine)
    graph.to("Tag", "a").to("Tag", "b", suffix="!").respond()
    with opened(fn, door) as ask:
        assert ask(body=[]) == (200, ["a", "b!"])


@doors
@engines
def test_a_handler_without_before_ends_the_flow_with_its_answer(engine, door):
    fn, graph = flow(engine)
    step = graph.to(name="a", handler="boom")
    step.error_handler(name="c", handler="keep", full_event=True)
    step.to(name="z", handler="({**event, 'z': 1})").respond()
    with opened(fn, door) as ask:
        assert ask(body=1) == (200, {"handled": "bad", "from": "a"})


@doors
@engines
def test_a_handler_with_before_goes_on_there_and_skips_what_lies_between(engine, door):
    fn, graph = flow(engine)
    step = graph.to(name="a", handler="boom")
    step.error_handler(name="c", handler="keep", full_event=True, before="z")
    step.to(name="y", handler="({**event, 'y': 1})").to(name="z", handler="({**event, 'z': 1})").respond()
    with opened(fn, door) as ask:
        assert ask(body=1) == (200, {"handled": "bad", "from": "a", "z": 1})


def router():
    fn = servegraph.new_function("golden")
    fn.set_topology("router")
    fn.add_model("m", class_name="Dbl", model_path="x", k=3)
    return fn


@doors
def test_a_model_answers_with_id_name_outputs_and_time(door):
    with opened(router(), door) as ask:
        status, answer = ask("/v2/models/m/infer", {"inputs": [1, 2]}, id="E")
    assert status == 200
    assert isinstance(answer.pop("timestamp"), str)
    assert answer == {"id": "E", "model_name": "m", "outputs": [3, 6]}


@doors
def test_an_operation_of_ones_own(door):
    with opened(router(), door) as ask:
        assert ask("/v2/models/m/hello", {"who": "x"}) == (200, {"hi": "x"})


@doors
def test_infer_is_not_asked_with_get(door):
    with opened(router(), door) as ask:
        status, answer = ask("/v2/models/m/infer", id="E")
    assert status == 405
    assert (answer["type"], answer["step"], answer["id"]) == ("MethodNotAllowed", "router/m", "E")
    assert "POST" in answer["error"]


@doors
@engines
def test_a_model_as_a_step_reads_and_writes_at_paths(engine, door):
    fn, graph = flow(engine)
    graph.to("Dbl", "m", model_path="x", input_path="req", result_path="resp").respond()
    with opened(fn, door) as ask:
        status, answer = ask(body={"req": {"inputs": [1]}}, id="E")
    answer["resp"].pop("timestamp")
    assert (status, answer) == (
        200,
        {"req": {"inputs": [1]}, "resp": {"id": "E", "model_name": "m", "outputs": [2]}},
    )
