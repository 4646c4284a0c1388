import asyncio

import pytest

from servegraph.engine.gate import Gate, Line


def test_places_go_to_those_who_wait_in_the_order_in_which_they_came():
    async def main():
        gate, order = Gate(1), []
        await gate.enter()

        async def visit(name):
            await gate.enter()
            order.append(name)
            gate.leave()

        waiting = [asyncio.ensure_future(visit(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert (gate.busy, gate.waiting, gate.try_enter()) == (1, 3, False)
        gate.leave()
        await asyncio.gather(*waiting)
        return order, gate.busy

    assert asyncio.run(main()) == (["a", "b", "c"], 0)


@pytest.mark.parametrize("given", [True, False])
def test_who_gives_up_waiting_blocks_nobody_even_when_the_place_was_already_given(given):
    async def main():
        gate = Gate(1)
        await gate.enter()
        first, second = asyncio.ensure_future(gate.enter()), asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        if given:
            gate.leave()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        if not given:
            gate.leave()
        await asyncio.wait_for(second, 5)
        gate.leave()
        return gate.busy, gate.waiting

    assert asyncio.run(main()) == (0, 0)


def test_a_line_is_left_in_the_order_of_joining_whoever_is_done_first():
    async def main():
        line, order = Line(), []

        async def pass_through(name, seconds):
            place = line.join()
            try:
                await asyncio.sleep(seconds)
                await line.wait(place)
                order.append(name)
            finally:
                line.go(place)

        await asyncio.gather(*[pass_through(name, 0.03 - 0.01 * number) for number, name in enumerate("abc")])
        return order

    assert asyncio.run(main()) == ["a", "b", "c"]


def test_one_who_fails_in_a_line_does_not_stop_those_behind():
    async def main():
        line = Line()

        async def fail():
            place = line.join()
            try:
                raise ValueError
            finally:
                line.go(place)

        async def through():
            place = line.join()
            await line.wait(place)
            line.go(place)
            return "through"

        results = await asyncio.gather(fail(), through(), return_exceptions=True)
        return results[1]

    assert asyncio.run(main()) == "through"
