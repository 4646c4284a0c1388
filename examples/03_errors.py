"""What happens when a step fails: an error handler of its own, one for the whole graph, or a status for the caller.

Prints:
    {'total': 30}
    {'total': 0, 'why': 'no price for pear'}
    (400) quantity must be positive
"""

import servegraph
from servegraph.errors import BadEvent

PRICES = {"apple": 10}


def check(order):
    if order["quantity"] <= 0:
        raise BadEvent("quantity must be positive")
    return order


def price(order):
    if order["fruit"] not in PRICES:
        raise LookupError(f"no price for {order['fruit']}")
    return {"total": PRICES[order["fruit"]] * order["quantity"]}


def no_price(event):
    event.body = {"total": 0, "why": str(event.error)}
    return event


fn = servegraph.new_function("orders", kind="serving")
graph = fn.set_topology("flow")
graph.to(name="check", handler=check).to(name="price", handler=price).respond()
graph["price"].error_handler(name="no-price", handler=no_price, full_event=True)

with fn.to_mock_server() as server:
    print(server.test(body={"fruit": "apple", "quantity": 3}))
    print(server.test(body={"fruit": "pear", "quantity": 3}))
    refused = server.test(body={"fruit": "apple", "quantity": 0}, silent=True)
    print(f"({refused.status_code}) {refused.body['error']}")
