"""Wait in asyncio, compute in processes, block in threads; a hundred requests at once are answered in order.

Prints:
    100 answers in order: True
    computed in other processes: True
    faster than one after the other: True
"""

import asyncio
import os
import time

import servegraph
from servegraph import Event


async def fetch(body):
    await asyncio.sleep(0.01)
    return body


def square(body):
    time.sleep(0.005)  # stands for a model
    return {"value": body * body, "pid": os.getpid()}


def store(body):
    time.sleep(0.01)
    return body


fn = servegraph.new_function("squares", kind="serving")
step = "storey.ConcurrentExecution"
fn.set_topology("flow").to(step, "fetch", _event_processor=fetch, max_in_flight=16).to(
    step, "square", _event_processor=square, concurrency_mechanism="multiprocessing", max_in_flight=2
).to(step, "store", _event_processor=store, concurrency_mechanism="threading", max_in_flight=16).respond()


async def main():
    server, answers = fn.build_server(), []
    await server.start()
    begun = time.perf_counter()

    async def ask(number):
        answers.append((await server.handle(Event(number))).body)

    await asyncio.gather(*map(ask, range(100)))
    print("100 answers in order:", [each["value"] for each in answers] == [number**2 for number in range(100)])
    print("computed in other processes:", os.getpid() not in {each["pid"] for each in answers})
    print("faster than one after the other:", time.perf_counter() - begun < 100 * 0.025)
    await server.stop()


asyncio.run(main())
