"""Serve over HTTP, here from a thread; `servegraph serve examples/05_http.py` serves the same in processes of its own.

Prints:
    GET /readyz: 200
    POST /: 200 {'sum': 6}
    POST / with broken JSON: 400
    invoke: {'sum': 30}
"""

import httpx

import servegraph
from servegraph.serve.http import serve_in_background


def add_up(body):
    return {"sum": sum(body["numbers"])}


fn = servegraph.new_function("sums", kind="serving")
graph = fn.set_topology("flow")
graph.to(name="sum", handler=add_up).respond()

if __name__ == "__main__":
    with serve_in_background(fn.build_server) as address, httpx.Client(base_url=address) as client:
        print("GET /readyz:", client.get("/readyz").status_code)
        answer = client.post("/", json={"numbers": [1, 2, 3]})
        print("POST /:", answer.status_code, answer.json())
        broken = client.post("/", content="{numbers", headers={"content-type": "application/json"})
        print("POST / with broken JSON:", broken.status_code)
        fn.address = address
        print("invoke:", fn.invoke(body={"numbers": [10, 20]}))
