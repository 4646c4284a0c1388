import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.errors import GraphError
from servegraph.graph import rules
from servegraph.graph.spec import (
    REMOTE_STEP,
    ErrorStepSpec,
    FlowSpec,
    QueueSpec,
    RouterSpec,
    TaskSpec,
    as_flow,
    from_dict,
    from_json,
    from_yaml,
    tasks,
    to_dict,
    to_json,
    to_yaml,
)

MLRUN = {
    "steps": {
        "a": {"handler": "(event+1)", "kind": "task"},
        "b": {"after": ["a"], "responder": True, "handler": "json.dumps", "kind": "task"},
        "h": {
            "kind": "error_step",
            "handler": "eh",
            "full_event": True,
            "endpoint_type": 1,
            "model_endpoint_creation_strategy": "skip",
        },
        "q": {
            "kind": "queue",
            "after": ["a"],
            "path": "kafka://b:9092/t",
            "shards": 2,
            "options": {"group": "g"},
            "trigger_args": {},
        },
        "r": {
            "kind": "router",
            "after": ["a"],
            "class_args": {},
            "routes": {
                "m": {
                    "kind": "task",
                    "class_name": "M",
                    "class_args": {"model_path": "x", "outputs": None},
                    "endpoint_type": 3,
                    "model_endpoint_creation_strategy": "inplace",
                }
            },
        },
    },
    "engine": "async",
    "on_error": "h",
    "allow_cyclic": False,
    "model_endpoints_routes_names": ["a", "b"],
}


def faults_of(data):
    with pytest.raises(GraphError) as caught:
        from_dict(data)
    return [(fault.step, fault.code) for fault in caught.value.faults]


def test_a_graph_of_mlrun_is_read_and_is_well_formed():
    spec = from_dict(MLRUN)
    assert isinstance(spec, FlowSpec)
    assert spec.on_error == "h"
    assert spec.steps["b"] == TaskSpec(after=("a",), responder=True, handler="json.dumps")
    assert spec.steps["h"] == ErrorStepSpec(handler="eh", full_event=True)
    assert spec.steps["q"] == QueueSpec(after=("a",), path="kafka://b:9092/t", shards=2, options={"group": "g"})
    assert spec.steps["r"].routes == {"m": TaskSpec(class_name="M", class_args={"model_path": "x", "outputs": None})}
    assert rules.check(spec) == []


def test_a_router_topology_of_mlrun_is_read():
    spec = from_dict({"kind": "router", "name": "router", "endpoint_type": 2, "routes": {"m": {"class_name": "M"}}})
    assert spec == RouterSpec(name="router", routes={"m": TaskSpec(class_name="M")})


@pytest.mark.parametrize(("write", "read"), [(to_dict, from_dict), (to_json, from_json), (to_yaml, from_yaml)])
@pytest.mark.parametrize("data", [MLRUN, {"kind": "router", "routes": {"m": {"class_name": "M"}}}])
def test_a_graph_is_equal_in_python_json_and_yaml(data, write, read):
    spec = from_dict(data)
    assert read(write(spec)) == spec


def test_what_is_at_its_default_is_not_written():
    assert to_dict(FlowSpec(steps={"a": TaskSpec(handler="f")})) == {
        "kind": "root",
        "steps": {"a": {"kind": "task", "handler": "f"}},
    }


def test_a_router_topology_is_a_sync_flow_of_one_responding_router():
    flow = as_flow(RouterSpec(routes={"m": TaskSpec(class_name="M")}))
    assert (flow.engine, list(flow.steps)) == ("sync", ["router"])
    assert flow.steps["router"].responder


def test_the_error_handler_of_a_router_topology_is_a_step_of_its_flow():
    spec = RouterSpec(name="r", on_error="catch", error_step=ErrorStepSpec(handler="h"))
    flow = as_flow(spec)
    assert list(flow.steps) == ["r", "catch"]
    assert flow.steps["catch"] == ErrorStepSpec(handler="h")
    assert flow.steps["r"].error_step is None
    assert from_dict(to_dict(spec)) == spec


def test_every_step_that_runs_code_has_a_path():
    assert [path for path, _ in tasks(from_dict(MLRUN))] == ["a", "b", "h", "r", "r/m"]


def test_all_that_is_wrong_with_plain_data_is_reported_at_once():
    data = {
        "engin": "sync",
        "engine": "asinc",
        "steps": {
            "a": {"handlr": "f", "retries": "3", "timeout": "x"},
            "b": {"kind": "tusk"},
            "c": 5,
            "r": {"kind": "router", "routes": {"m": {"kind": "router"}, "n": {"class_name": 1}}},
        },
    }
    assert faults_of(data) == [
        ("", "field"),
        ("", "engine"),
        ("a", "field"),
        ("a", "type"),
        ("a", "type"),
        ("b", "kind"),
        ("c", "type"),
        ("r/m", "kind"),
        ("r/n", "type"),
    ]


def test_a_fault_of_plain_data_says_what_was_meant():
    with pytest.raises(GraphError, match="unknown field 'handlr'; did you mean 'handler'"):
        from_dict({"steps": {"a": {"handlr": "f"}}})
    with pytest.raises(GraphError, match="engine is 'asinc', it must be one of async, sync; did you mean 'async'"):
        from_dict({"engine": "asinc"})
    with pytest.raises(GraphError, match=r"step 'a': retries: expected `int \| null`, got `str`"):
        from_dict({"steps": {"a": {"retries": "3"}}})


@pytest.mark.parametrize("data", [None, [], "steps", 5])
def test_a_graph_must_be_a_mapping(data):
    assert faults_of(data) == [("", "type")]


@pytest.mark.parametrize("data", [{"steps": None}, {"steps": {}}, {"routes": {}}])
def test_a_graph_without_steps_is_read_and_found_empty_by_the_rules(data):
    assert rules.check(from_dict(data))


@pytest.mark.parametrize("read", [from_json, from_yaml])
def test_broken_text_says_where(read):
    with pytest.raises(GraphError) as caught:
        read("{'a: [")
    assert caught.value.faults[0].code == "syntax"


def test_a_step_that_leads_back_comes_after_nothing_it_leads_to():
    spec = from_dict({"allow_cyclic": True, "steps": {"a": {"handler": "f", "after": ["a"], "cycle_from": ["a"]}}})
    assert spec.steps["a"].after == ()
    assert rules.starts(spec) == ["a"]


def test_the_short_form_of_a_remote_step_is_written_out():
    spec = from_dict({"steps": {"a": {"class_name": "$remote", "class_args": {"url": "http://x"}}}})
    assert spec.steps["a"].class_name == REMOTE_STEP


FIELDS = ["kind", "after", "on_error", "handler", "class_name", "class_args", "routes", "before", "cycle_from",
          "responder", "error_step", "retries", "timeout", "run_in", "path", "function", "max_iterations"]  # fmt: skip
NAMES = st.sampled_from(["a", "b", "c", "", "x/y"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | NAMES | st.sampled_from(["task", "router", "queue"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | NAMES, inner, max_size=3),
    max_leaves=8,
)
STEP = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["task", "task", "error_step", "router", "queue", None, "odd"]),
        "handler": NAMES,
        "class_name": NAMES,
        "after": st.lists(NAMES, max_size=3),
        "before": st.lists(NAMES, max_size=2),
        "cycle_from": st.lists(NAMES, max_size=2),
        "on_error": NAMES,
        "responder": st.booleans(),
        "function": st.sampled_from(["", "*", "f", "g"]),
        "timeout": st.floats(),
        "retries": st.integers(-1, 1),
        "routes": st.dictionaries(NAMES, VALUES, max_size=2),
    },
)
GRAPHS = (
    st.fixed_dictionaries(
        {"steps": st.dictionaries(NAMES, STEP, max_size=4)},
        optional={
            "engine": st.sampled_from(["async", "sync"]),
            "on_error": NAMES,
            "allow_cyclic": st.booleans(),
            "final_step": NAMES,
        },
    )
    | STEP.map(lambda step: {**step, "kind": "router"})
    | st.dictionaries(st.sampled_from([*FIELDS, "steps", "engine"]), VALUES, max_size=4)
)


@given(GRAPHS)
def test_plain_data_is_read_or_refused_and_what_is_read_can_be_checked(data):
    try:
        spec = from_dict(data)
    except GraphError:
        return
    for fault in [*rules.check(spec, deployed=True), *rules.warn(spec)]:
        assert fault.code
        assert fault.message
    assert from_dict(to_dict(spec)) == spec or "nan" in repr(spec)
