"""Batches of events, split again: each caller gets its own."""

import asyncio

import pytest
from tests.steps.serving import serve, together

from servegraph.storey import Batch, FlatMap


async def hundredfold(event):
    await asyncio.sleep(0)
    for row in event.body:
        row.body *= 100
    return event


@pytest.mark.parametrize("engine", ["sync", "async"])
@pytest.mark.parametrize("behind", [False, True])
def test_each_caller_of_a_batch_of_events_gets_its_own_row(engine, behind):
    def define(graph):
        batch = graph.to("storey.Batch", max_events=2, flush_after_seconds=0.2).to(hundredfold, full_event=True)
        split = batch.to("storey.FlatMap", _fn="(event.body)", full_event=True).respond()
        if behind:
            split.to(handler="(None)")

    with serve(define, engine) as server:
        assert together(server, 2, 3) == [200, 300]
        assert server.test(body=1) == 100


@pytest.mark.parametrize("engine", ["sync", "async"])
def test_the_responder_may_come_after_the_events_were_split_or_hold_them_all(engine):
    def after(graph):
        batch = graph.to(Batch(max_events=2)).to(hundredfold, full_event=True)
        batch.to(FlatMap(lambda event: event.body, full_event=True)).to(handler="(event + 1)").respond()

    def whole(graph):
        graph.to(Batch(max_events=2)).to(hundredfold, full_event=True).respond()

    with serve(after, engine) as server:
        assert together(server, 1, 2) == [101, 201]
    with serve(whole, engine) as server:
        assert together(server, 1, 2) == [100, 200]


@pytest.mark.parametrize("engine", ["sync", "async"])
def test_items_of_a_batch_of_bodies_are_dealt_out_by_position(engine):
    def define(graph):
        graph.to("storey.Batch", max_events=2, full_event=False).to("storey.Flatten").respond()

    with serve(define, engine) as server:
        assert together(server, 1, 2) == [1, 2]


@pytest.mark.parametrize("engine", ["sync", "async"])
def test_a_side_branch_does_not_part_callers_from_their_rows(engine):
    def define(graph):
        batch = graph.to(Batch(max_events=2))
        batch.to(FlatMap(lambda event: event.body, full_event=True), "split").respond()
        batch.to(handler="(len(event))", name="aside")

    with serve(define, engine) as server:
        assert together(server, 1, 2) == [1, 2]
