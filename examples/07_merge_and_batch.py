"""Branches that merge into one answer, and requests that share one call of a model.

Prints:
    {'words': 3, 'letters': 13}
    ['ONE', 'TWO', 'THREE', 'FOUR']
    calls of the model: 2
"""

from concurrent.futures import ThreadPoolExecutor

import servegraph
from servegraph.serving import Merge


class Joined(Merge):
    def merge_function(self, event, events):
        event.body = {key: value for part in events for key, value in part.body.items()}
        return event


fn = servegraph.new_function("texts", kind="serving")
graph = fn.set_topology("flow")
graph.to(name="words", handler="({'words': len(event.split())})")
graph.to(name="letters", handler="({'letters': len(event.replace(' ', ''))})")
graph.add_step(Joined, name="joined", after=["words", "letters"]).respond()
with fn.to_mock_server() as server:
    print(server.test(body="three word text"))

calls = []


def model(rows):
    calls.append(rows)
    return [row.upper() for row in rows]


fn = servegraph.new_function("shouts", kind="serving")
fn.set_topology("flow").to("storey.Batch", max_events=2, flush_after_seconds=5, full_event=False).to(model).respond()
with fn.to_mock_server() as server, ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda text: server.test(body=text), ["one", "two", "three", "four"])))
print("calls of the model:", len(calls))
