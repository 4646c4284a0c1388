import asyncio

import pytest

from servegraph.models.pipeline import drive


async def later(value):
    await asyncio.sleep(0)
    return value


def steps(*results):
    seen = []
    for result in results:
        seen.append((yield result))
    return seen


def test_without_an_awaitable_the_result_is_there_at_once():
    assert drive(steps(1, [2], {"a": 3}, None)) == [1, [2], {"a": 3}, None]


@pytest.mark.parametrize("position", range(3))
def test_from_the_first_awaitable_on_the_rest_is_awaited(position):
    results = ["a", "b", "c"]
    pending = drive(steps(*[later(each) if index >= position else each for index, each in enumerate(results)]))
    assert asyncio.run(pending) == results


def test_what_comes_after_an_awaitable_need_not_be_one():
    assert asyncio.run(drive(steps(1, later(2), 3, later(4)))) == [1, 2, 3, 4]


def test_an_error_of_a_hook_is_the_error_of_the_whole():
    async def fails():
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(drive(steps(1, fails())))
