import base64
import gzip
import json
import os

import pytest
from tests.compat.test_compat import output, run

PROGRAM = """
import servegraph.compat
from mlrun.runtimes import nuclio_init_hook
from mlrun.serving.server import MockEvent, Response

def double(body):
    return {"doubled": body["n"] * 2}

class Context:
    Response = Response

context = Context()
nuclio_init_hook(context, globals(), "serving_v2")
for body in ({"n": 4}, {}):
    response = context.mlrun_handler(context, MockEvent(body=body, path="/"))
    print(response.status_code, response.content_type, response.body.decode())
"""
SPEC = json.dumps(
    {
        "function_name": "f",
        "project": "p",
        "version": "v2",
        "graph": {"steps": {"s": {"kind": "task", "handler": "double", "responder": True}}},
    }
)


@pytest.mark.parametrize("spec", [SPEC, base64.b64encode(gzip.compress(SPEC.encode())).decode()], ids=["json", "gzip"])
def test_a_worker_serves_the_graph_of_its_environment(spec):
    ok, failed = output(PROGRAM, env={**os.environ, "SERVING_SPEC_ENV": spec})
    assert ok == '200 application/json {"doubled":8}'
    assert failed.startswith('500 application/json {"error":"missing key \'n\'"')


def test_without_a_graph_it_says_what_to_do():
    environment = {name: value for name, value in os.environ.items() if name != "SERVING_SPEC_ENV"}
    assert "serve this file with: servegraph serve" in run(PROGRAM, env=environment).stderr
