import asyncio
from time import monotonic

from tests.serve.served import builder

from servegraph.events import Event


def test_an_event_that_waits_for_its_turn_waits_within_its_deadline():
    seen = []

    async def ask_twice():
        go = asyncio.Event()

        async def hold(event):
            seen.append(event)
            await go.wait()
            return event

        server = builder(hold, full_event=True, max_in_flight=1, request_timeout=30)()
        await server.start()
        asking = [asyncio.create_task(server.handle(Event(number))) for number in range(2)]
        await asyncio.sleep(0)
        asked = monotonic()
        await asyncio.sleep(0.02)
        go.set()
        await asyncio.gather(*asking)
        await server.stop()
        return asked

    asked = asyncio.run(ask_twice())
    assert [event.body for event in seen] == [0, 1]
    assert seen[1].deadline <= asked + 30
