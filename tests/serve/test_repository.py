"""The model repository over HTTP, where changes are switched on and where they are not."""

from __future__ import annotations

import httpx
import pytest
from tests.serve.app import ByPath, Model
from tests.serve.served import builder

from servegraph.context import Context
from servegraph.engine.names import Names
from servegraph.engine.plan import compile_graph
from servegraph.graph.spec import from_dict
from servegraph.serve.http import serve_in_background
from servegraph.serve.server import Server
from servegraph.serve.settings import Settings


def build(model_control: bool = True) -> Server:
    names = Names([{"ByPath": ByPath, "Model": Model}])
    models = {name: {"class_name": "Model", "class_args": {"answer": name}} for name in ("m1", "m2:v1")}
    router = {"kind": "router", "class_name": "ByPath", "routes": models, "responder": True}
    plan = compile_graph(from_dict({"kind": "root", "steps": {"router": router}}), names, Context(name="test"))
    return Server(plan, Settings(model_control=model_control), names=names)


@pytest.fixture(scope="module")
def client():
    with serve_in_background(build) as address, httpx.Client(base_url=f"{address}/v2/repository/") as client:
        yield client


def test_the_index_lists_models_and_versions_even_where_changes_are_off():
    with serve_in_background(lambda: build(False)) as address:
        answer = httpx.post(f"{address}/v2/repository/index")
    assert answer.json() == [
        {"name": "m1", "version": "", "state": "READY", "reason": ""},
        {"name": "m2", "version": "v1", "state": "READY", "reason": ""},
    ]


@pytest.mark.parametrize("action", ["load", "unload"])
def test_changes_are_off_until_switched_on(action):
    with serve_in_background(lambda: build(False)) as address:
        answer = httpx.post(f"{address}/v2/repository/models/m1/{action}")
    assert answer.status_code == 403
    assert "model_control=True" in answer.json()["error"]


def test_a_version_is_part_of_the_address(client):
    assert client.post("models/m2/versions/v1/load").json() == {"name": "m2:v1"}


def test_a_model_is_added_and_removed(client):
    added = client.post("models/m9/load", json={"parameters": {"class_name": "Model", "answer": "nine"}})
    assert added.status_code == 200
    assert client.post(f"{client.base_url.copy_with(path='/m9')}", json=1).json()["answer"] == "nine"
    assert client.post("models/m9/unload").status_code == 200
    assert client.post(f"{client.base_url.copy_with(path='/m9')}", json=1).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("models/m7/load", b"", 404, "there are: m1, m2:v1"),
        ("models/m1/polish", b"", 404, "models/NAME/load"),
        ("models/m1/load", b"[1]", 400, "JSON object"),
        ("models/m1/load", b"{", 400, "valid JSON"),
        ("models/m1/load", b'{"parameters": [1]}', 400, "'parameters'"),
        ("models/m1/load", b'{"parameters": {"class_name": "Modell"}}', 400, "did you mean 'Model'"),
    ],
)
def test_what_cannot_be_done_is_said(client, path, body, status, said):
    answer = client.post(path, content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_changes_are_asked_for_with_post(client):
    assert client.get("index").status_code == 405


def test_a_graph_without_a_router_says_so():
    with serve_in_background(builder(lambda body: body, model_control=True)) as address:
        answer = httpx.post(f"{address}/v2/repository/index")
    assert answer.status_code == 400
    assert "0 routers" in answer.json()["error"]
