"""One corpus of awkward bodies gives the same answers through the mock server and over HTTP, on every kind of graph.

What HTTP makes of an answer: ``str`` goes out as ``text/plain`` and bytes as ``application/octet-stream``, as they are;
everything else, ``None`` among it, as JSON. All have status 200; only an event that nobody answered is an empty 204.
"""

import httpx
import orjson
import pytest
from tests.acceptance.corpus import ANSWERS, REQUESTS

import servegraph
from servegraph.events import DROP
from servegraph.serve.http import serve_in_background
from servegraph.wire.json import dumps

KINDS = ("sync", "async", "router", "branches")


class Says(servegraph.serving.V2ModelServer):
    """A model that answers with one body of the corpus, and notes what came in."""

    def load(self):
        pass

    def op_answer(self, event):
        return answer(event)


def answer(event):
    name = event.headers.get("x-answer")
    if name is not None:
        event.body = ANSWERS[name]
        return ANSWERS[name] if event.path.startswith("/v2") else event
    SEEN.append(event.body)
    event.body = [type(event.body).__name__, event.body]
    return event.body if event.path.startswith("/v2") else event


SEEN = []


def function(kind):
    fn = servegraph.new_function("corpus")
    if kind == "router":
        fn.add_model("m", class_name=Says, model_path="x")
        return fn
    graph = fn.set_topology("flow", engine="sync" if kind == "sync" else "async")
    step = graph.to(name="answer", handler=answer, full_event=True)
    if kind == "branches":
        step.to(name="aside", handler=lambda body: body)
    step.to(name="last", handler=lambda body: body).respond()
    return fn


PATHS = {kind: "/v2/models/m/answer" if kind == "router" else "/" for kind in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """One kind of graph behind both doors: its path, the mock server and an HTTP client."""
    fn = function(request.param)
    settings = {"max_body": 64 * 2**20}
    with (
        fn.to_mock_server() as mock,
        serve_in_background(fn.builder(**settings)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield PATHS[request.param], mock, client


def written(body):
    """Return what HTTP makes of a body."""
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    return dumps(body), "application/json"


def same(response, answered):
    """Check that an HTTP answer is what the mock's answer becomes."""
    body, content_type = written(response.body)
    assert (answered.status_code, answered.headers["content-type"]) == (response.status_code, content_type)
    assert answered.content == body


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_any_type_is_the_same(both, name):
    path, mock, client = both
    headers = {"x-answer": name}
    response = mock.test(path, {}, headers=headers, silent=True, get_body=False)
    assert response.status_code == 200, response.body
    same(response, client.post(path, json={}, headers=headers))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_reaches_the_step_as_it_is(both, name):
    path, mock, client = both
    body = REQUESTS[name]
    SEEN.clear()
    response = mock.test(path, body, silent=True, get_body=False)
    assert response.status_code == 200, response.body
    same(response, client.post(path, content=dumps(body), headers={"content-type": "application/json"}))
    assert [type(each) for each in SEEN] == [type(body)] * 2
    assert SEEN[0] == SEEN[1] == body


def test_null_reaches_the_step_as_none(both):
    path, mock, client = both
    SEEN.clear()
    mock.test(path, "null", content_type="application/json", method="POST")
    client.post(path, content=b"null", headers={"content-type": "application/json"})
    client.get(path)
    assert SEEN == [None, None, None]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.example+json",
        "application/x-www-form-urlencoded",
        "",
    ],
)
@pytest.mark.parametrize("body", [b'{"a": [1, "\xc3\xa9"]}', b"0", b'""', b"{}", b"[]", b"false"])
def test_json_is_read_under_every_type_that_means_it_and_without_one(both, content_type, body):
    path, mock, client = both
    headers = {"content-type": content_type} if content_type else {}
    response = mock.test(path, body, headers=headers, get_body=False)
    answered = client.post(path, content=body, headers=headers)
    same(response, answered)
    read = orjson.loads(body)
    assert orjson.loads(answered.content) == [type(read).__name__, read]


@pytest.mark.parametrize(
    ("content_type", "body", "seen"),
    [
        ("text/plain", b"0", "0"),
        ("text/plain; charset=latin-1", b"\xe9", "\u00e9"),
        ("application/octet-stream", b"{}", b"{}"),
        ("image/png", b"\x89PNG\x00", b"\x89PNG\x00"),
        ("", b"no json", b"no json"),
        ("application/x-www-form-urlencoded", b"a=1&b=2", b"a=1&b=2"),
    ],
)
def test_other_types_reach_the_step_as_text_or_bytes(both, content_type, body, seen):
    path, mock, client = both
    if path != "/":
        pytest.skip("a model reads text and bytes as JSON where they are that")
    headers = {"content-type": content_type} if content_type else {}
    SEEN.clear()
    same(mock.test(path, body, headers=headers, get_body=False), client.post(path, content=body, headers=headers))
    assert [(type(each), each) for each in SEEN] == [(type(seen), seen)] * 2


@pytest.mark.parametrize("engine", ["sync", "async"])
def test_an_event_that_nobody_answers_is_an_empty_204(engine):
    fn = servegraph.new_function("dropped")
    graph = fn.set_topology("flow", engine=engine)
    graph.to(name="drop", handler=lambda body: DROP).to(name="last", handler="(event)").respond()
    with fn.to_mock_server() as mock, serve_in_background(fn.builder()) as address:
        response = mock.test(body=1, get_body=False)
        answered = httpx.post(address, json=1)
        assert (response.status_code, response.body) == (204, None)
        assert (answered.status_code, answered.content) == (204, b"")


@pytest.mark.parametrize("engine", ["sync", "async"])
def test_what_cannot_be_written_is_told_with_its_type_and_place(engine):
    fn = servegraph.new_function("strange")
    fn.set_topology("flow", engine=engine).to(name="s", handler=lambda body: {"a": [object()]}).respond()
    with serve_in_background(fn.builder()) as address:
        answered = httpx.post(address, json=1)
        assert answered.status_code == 500
        assert "type object at $.a[0]" in answered.json()["error"]


def test_the_body_that_a_test_holds_stays_as_it_was():
    body = {"rows": [1]}
    fn = servegraph.new_function("changes")
    fn.set_topology("flow").to(name="s", handler=lambda body: body["rows"].append(2) or body).respond()
    with fn.to_mock_server() as mock:
        assert mock.test(body=body) == {"rows": [1, 2]}
    assert body == {"rows": [1]}
