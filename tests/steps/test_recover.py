import pytest
from tests.steps.serving import engines, one, serve

from servegraph.storey import Complete, Recover

KINDS = {"KeyError": "missing", "LookupError": "lookup"}


def guarded(recover):
    def fail(body):
        raise {"key": KeyError, "index": IndexError, "value": ValueError}[body](body)

    def define(graph):
        graph.to(name="risky", handler=fail)
        for name in ("missing", "lookup"):
            graph.add_step(name=name, handler=f"([event, '{name}'])", after="risky")
        graph["risky"].error_handler(name="recover", before=["missing", "lookup"], **recover)
        graph.add_step("Gather", "end", after=["missing", "lookup"]).respond()

    return define


@engines
@pytest.mark.parametrize(
    "recover",
    [
        {"class_name": "storey.Recover", "exception_to_downstream": KINDS},
        {"class_name": Recover({KeyError: "missing", LookupError: ["lookup"]})},
    ],
)
def test_a_failed_event_goes_where_the_closest_kind_of_its_error_says(engine, recover):
    with serve(guarded(recover), engine) as server:
        assert server.test(body="key") == ["key", "missing"]
        assert server.test(body="index") == ["index", "lookup"]


@engines
def test_an_error_of_no_known_kind_fails_the_event_as_it_was(engine):
    with serve(guarded({"class_name": "storey.Recover", "exception_to_downstream": KINDS}), engine) as server:
        answer = server.test(body="value", silent=True)
        assert (answer.status_code, answer.body["type"], answer.body["error"]) == (500, "ValueError", "value")


@engines
def test_an_event_that_has_not_failed_passes(engine):
    def define(graph):
        graph.to(Recover({"KeyError": "missing"}), "recover").to(name="next", handler="(event + 1)").respond()

    with serve(define, engine) as server:
        assert server.test(body=1) == 2


@engines
def test_complete_passes_on_what_comes(engine):
    assert one(engine, Complete(), 3) == [3]
