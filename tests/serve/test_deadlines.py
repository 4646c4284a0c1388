import asyncio
from time import monotonic

from servegraph.serve.deadlines import Deadlines


def test_entries_expire_at_their_time_whatever_the_order_in_which_they_were_added():
    async def main():
        deadlines, expired, now = Deadlines(), [], monotonic()
        for name, seconds in (("late", 0.06), ("soon", 0.02), ("never", 60), ("removed", 0.03)):
            deadlines.add(name, now + seconds, lambda name=name: expired.append((name, monotonic() - now >= 0.015)))
        deadlines.remove("removed")
        await asyncio.sleep(0.1)
        deadlines.close()
        return expired

    assert asyncio.run(main()) == [("soon", True), ("late", True)]


def test_removing_an_entry_twice_or_an_unknown_one_is_harmless():
    async def main():
        deadlines = Deadlines()
        deadlines.add("a", monotonic() + 60, lambda: None)
        deadlines.remove("a")
        deadlines.remove("a")
        deadlines.close()

    asyncio.run(main())
