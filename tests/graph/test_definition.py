import functools
import inspect
import json

import pytest
from tests.graph.samples import HOME, Adder, Chooser, double, raised

from servegraph.graph import rules
from servegraph.graph.builder import FlowGraph
from servegraph.graph.handles import QueueHandle
from servegraph.graph.spec import (
    REMOTE_STEP,
    QueueSpec,
    RouterSpec,
    TaskSpec,
    from_json,
)

# What a step is


@pytest.mark.parametrize(
    ("class_name", "handler", "spec"),
    [
        ("Name", None, TaskSpec(class_name="Name")),
        ("pkg.mod.Name", "run", TaskSpec(class_name="pkg.mod.Name", handler="run")),
        (None, "json.dumps", TaskSpec(handler="json.dumps")),
        (None, "(event + 1)", TaskSpec(handler="(event + 1)")),
        (None, json.dumps, TaskSpec(handler="json.dumps")),
        (double, None, TaskSpec(handler=f"{HOME}.double")),
        (None, lambda body: body, TaskSpec(handler="lambda")),
        (lambda body: body, None, TaskSpec(handler="lambda")),
        (functools.partial(double), None, TaskSpec(handler="double")),
        (Adder, None, TaskSpec(class_name=f"{HOME}.Adder")),
        (Adder, Adder.twice, TaskSpec(class_name=f"{HOME}.Adder", handler="twice")),
        (Adder(), None, TaskSpec(class_name=f"{HOME}.Adder")),
        ("$remote", None, TaskSpec(class_name=REMOTE_STEP)),
        ("*", None, RouterSpec()),
        ("*pkg.Router", None, RouterSpec(class_name="pkg.Router")),
        (Chooser, None, RouterSpec(class_name=f"{HOME}.Chooser")),
        (Chooser("/v1"), None, RouterSpec(class_name=f"{HOME}.Chooser", class_args={"prefix": "/v1"})),
    ],
)
def test_every_form_of_a_step_becomes_plain_data(flow, class_name, handler, spec):
    step = flow.to(class_name, "s", handler)
    assert step.spec == spec
    assert from_json(flow.to_json()) == flow.spec


@pytest.mark.parametrize("sigil", [">>", "$queue"])
@pytest.mark.parametrize("path", ["", None, "kafka://b/t"])
def test_a_queue_keeps_its_own_fields_and_the_options_of_its_stream(flow, sigil, path):
    queue = flow.to(
        sigil, "q", path=path, shards=2, retention_in_hours=3, trigger_args={"max_workers": 1}, full_event=False,
        group="g", kafka_brokers=["b"], sharding_func=double,
    )  # fmt: skip
    assert isinstance(queue, QueueHandle)
    assert queue.spec == QueueSpec(
        path=path or "", shards=2, retention_in_hours=3, trigger_args={"max_workers": 1}, full_event=False,
        options={"group": "g", "kafka_brokers": ["b"], "sharding_func": f"{HOME}.double"},
    )  # fmt: skip


def test_options_of_a_step_are_parted_from_the_arguments_of_its_class(flow):
    options = {
        "full_event": True, "input_path": "a.b", "result_path": "c", "function": "child", "run_in": "thread",
        "timeout": 2, "retries": 1, "backoff_factor": 0.5, "max_in_flight": 4, "max_iterations": 5,
    }  # fmt: skip
    step = flow.to("A", graph_shape="box", model_endpoint_creation_strategy="skip", path="p", input_pth="x", **options)
    assert step.spec == TaskSpec(class_name="A", shape="box", class_args={"path": "p", "input_pth": "x"}, **options)


def test_options_are_explained_once_for_all_steps():
    told = inspect.getdoc(FlowGraph.add_step)
    for option in set(TaskSpec.__struct_fields__) - {"comment", "shape", "on_error", "cycle_from", "class_args"}:
        assert option in told or option == "responder"


def test_objects_stay_beside_the_spec_under_its_names(flow):
    function, odd, instance = (lambda event: event), object(), Adder()
    flow.to("A", "a", _fn=function, odd=odd, callback=double)
    flow.to(instance, "i")
    assert flow["a"].class_args == {"_fn": "lambda"}
    assert flow.live.names["lambda"] is function
    assert flow.live.arguments == {"a": {"odd": odd, "callback": double}}
    assert flow.live.instances == {"i": instance}
    assert flow.live.names[f"{HOME}.Adder"] is Adder


def test_lambdas_are_told_apart(flow):
    first, second = flow.to(lambda body: 1), flow.to(handler=lambda body: 2)
    assert [first.handler, second.handler] == ["lambda", "lambda-2"]
    assert [first.name, second.name] == ["lambda", "lambda-2"]


def test_an_instance_is_read_back_from_its_attributes(flow):
    step = flow.to(Adder(add=5, labels={"a": (1, 2)}, hidden=3, name="five", context=object(), full_event=True))
    assert step.name == "five"
    assert step.spec.class_args == {"add": 5, "labels": {"a": [1, 2]}}
    assert step.full_event


@pytest.mark.parametrize("attribute", ["options", "_options"])
def test_the_open_arguments_of_an_instance_are_read_back_from_the_attribute_that_keeps_them(flow, attribute):
    class Model:
        def __init__(self, path="", *rest, **options):
            self.path = path
            setattr(self, attribute, options)

    assert flow.to(Model("x", 1, k=3, odd=object())).class_args == {"path": "x", "k": 3}


def test_an_instance_takes_arguments_that_it_has_attributes_for(flow):
    instance = Adder()
    assert flow.to(instance, add=7).class_args == {"add": 7}
    assert instance.add == 7
    assert raised(flow.to, instance, "other", ad=7) == ("other", "keyword")


def test_arguments_are_copied_as_json_would_give_them_back(flow):
    given = {"rows": [(1, 2)], "wide": 2**70, "endless": float("inf")}
    step = flow.to("A", **given)
    given["rows"].append(3)
    assert step.class_args == {"rows": [[1, 2]]}
    assert flow.live.arguments["A"] == {"wide": 2**70, "endless": float("inf")}


def test_a_class_defined_in_a_function_is_found_where_the_graph_was_defined(flow):
    class Local: ...

    flow.to("Local")
    spaces = flow.live.namespaces
    assert spaces[0]["Local"] is Local
    assert spaces[1] is globals()


# Names


def test_unnamed_steps_get_names_of_their_own(flow):
    names = [
        flow.to("pkg.Name").name,
        flow.to("Name").name,
        flow.to(Adder).name,
        flow.to(handler="json.dumps").name,
        flow.to(handler="(event)").name,
        flow.to(double).name,
        flow.to(double).name,
        flow.to("*").name,
        flow.to("*pkg.Router").name,
        flow.to("$remote").name,
    ]
    assert names == [
        "Name", "Name-2", "Adder", "dumps", "expression", "double", "double-2", "router", "router-2", "RemoteStep",
    ]  # fmt: skip


def test_a_name_can_be_used_again_once_its_step_is_gone(flow):
    flow.to(Adder(), "a")
    flow.to("B", "b").after("a")
    del flow["a"]
    assert "a" not in flow
    assert flow.live.instances == {}
    assert [(fault.step, fault.code) for fault in rules.check(flow.spec)] == [("b", "unknown-after")]
    flow.to("C", "a")
    assert rules.check(flow.spec) == []


def test_a_step_that_runs_nothing_is_told_of_a_misspelt_option(flow):
    with pytest.raises(ValueError, match=r"'handlr' is neither; did you mean 'handler'\?"):
        flow.to(name="a", handlr="b")
