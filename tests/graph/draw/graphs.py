"""Graphs that the drawing tests share: typical ones by hand, and a strategy for any."""

from hypothesis import strategies as st

from servegraph.graph.spec import ErrorStepSpec, FlowSpec, QueueSpec, RouterSpec, TaskSpec

ROUTER = RouterSpec(
    class_name="mlrun.serving.ModelRouter",
    routes={f"m{n}": TaskSpec(class_name="ClassifierModel") for n in range(1, 4)},
)
CHAIN = FlowSpec(
    steps={
        "enrich": TaskSpec(class_name="storey.Extend"),
        "predict": TaskSpec(class_name="Predict", handler="run", after=("enrich",)),
        "post": TaskSpec(handler="(event + 1)", after=("predict",), responder=True),
    }
)
DIAMOND = FlowSpec(
    steps={
        "double": TaskSpec(handler="double"),
        "add3": TaskSpec(class_name="Adder", after=("double",)),
        "add2": TaskSpec(class_name="Adder", after=("double",)),
        "Gather": TaskSpec(class_name="storey.Gather", after=("add3", "add2"), responder=True),
    }
)
RESCUED = FlowSpec(
    steps={
        "parse": TaskSpec(handler="parse", on_error="bad_input"),
        "predict": TaskSpec(class_name="Model", after=("parse",), on_error="fallback"),
        "post": TaskSpec(handler="post", after=("predict",), responder=True),
        "bad_input": ErrorStepSpec(handler="bad_input"),
        "fallback": ErrorStepSpec(handler="fallback", before=("post",)),
        "catch_all": ErrorStepSpec(handler="catch_all"),
    },
    on_error="catch_all",
)
LOOP = FlowSpec(
    steps={
        "plan": TaskSpec(handler="plan", after=("check",), cycle_from=("check",)),
        "act": TaskSpec(handler="act", after=("plan", "act"), cycle_from=("act",)),
        "check": TaskSpec(handler="check", after=("act",)),
        "out": TaskSpec(handler="out", after=("check",), responder=True),
    },
    allow_cyclic=True,
)
PARTS = FlowSpec(
    steps={
        "ingest": TaskSpec(handler="ingest"),
        "to_nlp": QueueSpec(path="kafka://user:secret@broker:9092/nlp?token=secret", after=("ingest",)),
        "tokens": TaskSpec(class_name="Tokens", after=("to_nlp",), function="nlp"),
        "embed": TaskSpec(class_name="Embed", after=("tokens",), function="nlp"),
        "out": QueueSpec(after=("embed",)),
        "store": TaskSpec(class_name="Store", after=("out",), function="writer"),
    }
)
TANGLED = FlowSpec(
    steps={
        "a": TaskSpec(handler="f", function="one"),
        "b": TaskSpec(handler="f", function="two", after=("a",)),
        "c": TaskSpec(handler="f", function="one", after=("a", "b")),
    }
)
TYPICAL = {
    "router": ROUTER, "chain": CHAIN, "diamond": DIAMOND, "rescued": RESCUED, "loop": LOOP, "parts": PARTS,
    "tangled": TANGLED, "empty": FlowSpec(),
}  # fmt: skip

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ['<b>&"', "]]>", "end", "a\x00b", "a;b #1 `c`", "W" * 60, "模型", "-->", "\u202eright"]
)
_FUNCTIONS = st.sampled_from(["", "", "", "one", "two", "*"])


@st.composite
def specs(draw):
    """Return any graph that can be drawn: branches, joins, routers, queues, functions, error handlers, cycles."""
    names = draw(st.lists(_NAMES, max_size=14, unique=True))
    handlers = draw(st.lists(_NAMES.filter(lambda name: name not in names), max_size=3, unique=True))
    steps = {name: draw(_steps(names, place, handlers)) for place, name in enumerate(names)}
    for name in handlers:
        before = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else []
        steps[name] = ErrorStepSpec(handler="h", before=tuple(before), function=draw(_FUNCTIONS))
    return FlowSpec(
        steps=steps,
        engine=draw(st.sampled_from(["async", "sync"])),
        on_error=draw(st.sampled_from(["", "no such step", *handlers])),
        allow_cyclic=True,
    )


@st.composite
def _steps(draw, names, place, handlers):
    after = draw(st.lists(st.sampled_from(names[:place]), max_size=3, unique=True)) if place else []
    cycle = draw(st.lists(st.sampled_from(names), max_size=1)) if draw(st.integers(0, 5)) == 0 else []
    common = {
        # Most cycles are declared; an undeclared one is a fault, but a picture may help to find it.
        "after": (*after, *cycle),
        "cycle_from": tuple(cycle) if draw(st.integers(0, 3)) else (),
        "function": draw(_FUNCTIONS),
        "on_error": draw(st.sampled_from(["", "", "", "no such step", *handlers])),
    }
    kind = draw(st.sampled_from(["task", "task", "task", "router", "queue"]))
    if kind == "queue":
        return QueueSpec(path=draw(st.text(max_size=60)), **common)
    class_name = draw(st.text(max_size=30))
    if kind == "task":
        return TaskSpec(class_name=class_name, responder=draw(st.integers(0, 8)) == 0, **common)
    routes = draw(st.lists(_NAMES, max_size=30, unique=True))
    return RouterSpec(class_name=class_name, routes={name: TaskSpec(class_name="M") for name in routes}, **common)
