"""Random graphs answer as the rules say: on both engines, by calling and on a loop, one event or 20 at once.

Every event ends, is answered once, and calls just the steps that the reference calls, with the same bodies: so no
branch sees what another wrote. Run with ``-s`` to see what the graphs were made of; SERVEGRAPH_EXAMPLES says how many
there are. Faults put into the engine on purpose show that the property would notice them.
"""

import asyncio
import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.acceptance.random_graphs import LOG, Reference, canonical, define, fresh, graphs, shares

import servegraph
from servegraph.engine import run as run_module
from servegraph.engine import walk as walk_module
from servegraph.engine.joints import Joints
from servegraph.events import DROP, Event

EXAMPLES = int(os.environ.get("SERVEGRAPH_EXAMPLES", "60"))
EVENTS = 20
TIMEOUT = 5


@pytest.fixture(autouse=True)
def quiet():
    """Failures are what these graphs are for: their logs say nothing new."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def by_mock(fn, numbers):
    """Answer on the callers' own threads where the plan allows it, else on the mock's loop."""
    with fn.to_mock_server(request_timeout=TIMEOUT) as mock, ThreadPoolExecutor(8) as pool:

        def ask(number):
            return mock.test(body=fresh(number), silent=True, get_body=False, event_id=f"e{number}")

        responses = list(pool.map(ask, numbers)) if len(numbers) > 1 else [ask(numbers[0])]
        mock.wait_for_completion()
        return responses, mock.server.in_flight


def on_loop(fn, numbers):
    """Answer on an event loop, all events at once, with sync steps in threads until they have proven quick."""

    async def serve():
        server = fn.build_server(request_timeout=TIMEOUT)
        await server.start()
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                events = [Event(fresh(number), id=f"e{number}") for number in numbers]
                responses = await asyncio.gather(*map(server.handle, events))
                await server.wait_for_completion()
            return responses, server.in_flight
        finally:
            await server.stop()

    return asyncio.run(serve())


DRIVERS = [("sync", by_mock), ("sync", on_loop), ("async", by_mock), ("async", on_loop)]


def check(graph):
    for engine, driver in DRIVERS:
        fn = define(graph, engine)
        answers = "responder" if graph.responder else "last" if engine == "sync" else "receipt"
        for numbers in ([3], [0], range(EVENTS)):
            LOG.clear()
            responses, in_flight = driver(fn, list(numbers))
            assert in_flight == 0
            for number, response in zip(numbers, responses, strict=True):
                expected = Reference(graph, number, answers)
                told = (engine, driver.__name__, number)
                assert answer(graph, response) in allowed(graph, expected, engine, number), told
                assert calls(graph, [(step, body) for n, step, body in LOG if n == number]) == calls(
                    graph, expected.calls
                ), told


def answer(graph, response):
    if response.status_code == 500:
        return 500, response.body["step"], response.body["error"]
    if response.status_code == 202:
        return 202, response.body["id"]
    return response.status_code, response.body and canonical(graph, response.body)


def allowed(graph, expected, engine, number):
    """Return the answers that the rules allow: one where the order of all ways is fixed, else any that came about."""
    if expected.answers == "receipt":
        return [(202, f"e{number}")]
    in_order = engine == "sync" and not graph.merges
    if expected.answers == "last":
        ends = [end for end in expected.ends if end is not None]
        outcomes = [(500, *end) if isinstance(end, tuple) else (200, canonical(graph, end)) for end in ends]
        return outcomes[-1:] if outcomes and in_order else outcomes or [(204, None)]
    replies = [(200, canonical(graph, body)) for body in expected.replies]
    outcomes = replies or [(500, *failure) for failure in expected.failures] or [(204, None)]
    return outcomes[:1] if in_order else outcomes


def calls(graph, made):
    return sorted((step, canonical(graph, body, step)) for step, body in made)


def test_random_graphs_answer_as_the_rules_say():
    made = Counter()

    @settings(max_examples=EXAMPLES)
    @given(graphs())
    def holds(graph):
        made.update(shares(graph))
        check(graph)

    try:
        holds()
    finally:
        count = made["graphs"]
        print(f"\n{count} graphs:", ", ".join(f"{name} {made[name] / count:.0%}" for name in made if name != "graphs"))


@pytest.mark.parametrize("engine", ["sync", "async"])
@pytest.mark.parametrize("branches", [("answering", "rescued"), ("rescued", "answering")])
def test_what_fails_behind_a_step_that_might_have_been_rescued_does_not_change_the_answer(engine, branches):
    """Only the handler of ``rescued`` leads to the responder: once that step is past, its branch cannot answer."""

    def fails(body):
        raise ValueError("bad")

    fn = servegraph.new_function("rescue")
    graph = fn.set_topology("flow", engine=engine)
    for name in branches:
        graph.to(name=name, handler="(event)")
    graph.add_step(name="responder", handler="('right')", after="answering").respond()
    graph.add_step(name="aside", handler=fails, after="rescued")
    graph["rescued"].error_handler(name="rescue", handler="(event)", before="responder")
    graph.error_handler(name="catcher", handler="('wrong')")
    with fn.to_mock_server() as mock:
        assert mock.test(body=1) == "right"


# Faults: each is one thing that an engine may get wrong.


def share_bodies(monkeypatch):
    monkeypatch.setattr(walk_module, "copy_of", lambda event: event.branch(event.body))


def wait_for_filtered_parts(monkeypatch):
    monkeypatch.setattr(Joints, "leave", lambda self, node, onward=None: iter(()))


def give_the_handler_what_the_step_left(monkeypatch):
    right = walk_module._handler

    def wrong(run, node, event, error, hope):
        event.body = fresh(event.body["n"])
        return right(run, node, event, error, hope)

    monkeypatch.setattr(walk_module, "_handler", wrong)


def blame_the_handler(monkeypatch):
    right = walk_module._handler

    def wrong(run, node, event, error, hope):
        handler = right(run, node, event, error, hope)
        event.origin_state = handler.path if handler is not None else event.origin_state
        return handler

    monkeypatch.setattr(walk_module, "_handler", wrong)


def let_the_last_reply_count(monkeypatch):
    def reply(self, event):
        self.answer = event
        self.settle()

    monkeypatch.setattr(run_module.Run, "reply", reply)


def go_on_with_what_was_dropped(monkeypatch):
    right = walk_module._unusual

    def wrong(run, node, event, out, hope):
        return walk_module._end_or_branch(run, node, event, hope) if out is DROP else right(run, node, event, out, hope)

    monkeypatch.setattr(walk_module, "_unusual", wrong)


def let_a_failing_side_branch_answer(monkeypatch):
    def wrong(self, node, event, error, hope):
        event.error, event.origin_state = error, node.path
        self.answer, self.failure = None, run_module.Failure(node.path, event, error)
        self.settle()

    monkeypatch.setattr(run_module.Run, "failed", wrong)


def join_in_the_order_of_arrival(monkeypatch):
    monkeypatch.setattr("servegraph.engine.joints._place", lambda ticket, places: 0)


def join_without_the_part_that_failed(monkeypatch):
    monkeypatch.setattr(Joints, "fail", lambda self, node: None)


def take_every_way(monkeypatch):
    monkeypatch.setattr(walk_module, "_chosen", lambda node, names: node.children)


def _reply_without_a_copy(run, node, events):
    for event in events:
        run.reply(event)
    return False


def answer_with_a_body_that_others_go_on_with(monkeypatch):
    monkeypatch.setattr(walk_module, "_reply", _reply_without_a_copy)


def lose_all_but_the_first_of_many(monkeypatch):
    right = walk_module._branches
    monkeypatch.setattr(
        walk_module, "_branches", lambda run, node, ways, events, hope: right(run, node, ways, events[:1], hope)
    )


FAULTS = [
    share_bodies,
    wait_for_filtered_parts,
    give_the_handler_what_the_step_left,
    blame_the_handler,
    let_the_last_reply_count,
    go_on_with_what_was_dropped,
    let_a_failing_side_branch_answer,
    join_in_the_order_of_arrival,
    join_without_the_part_that_failed,
    take_every_way,
    answer_with_a_body_that_others_go_on_with,
    lose_all_but_the_first_of_many,
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_engine_would_be_noticed(fault, monkeypatch):
    tried = 0

    @seed(1)
    @settings(
        max_examples=300,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(graphs())
    def holds(graph):
        nonlocal tried
        tried += 1
        check(graph)

    fault(monkeypatch)
    monkeypatch.setitem(globals(), "TIMEOUT", 1)
    with pytest.raises((AssertionError, TimeoutError)):
        holds()
    print(f"\n{fault.__name__}: noticed after {tried} graphs")
