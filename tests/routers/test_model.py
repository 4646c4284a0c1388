import asyncio
import inspect
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from servegraph.errors import BadEvent, Forbidden, MethodNotAllowed, NotFound, StepError, TooLarge
from servegraph.events import Event, Response
from servegraph.models.server import V2ModelServer
from servegraph.protocols import Router
from servegraph.routers.model import ModelRouter


class Named(V2ModelServer):
    def predict(self, request):
        return [self.name, *request["inputs"]]

    def explain(self, request):
        return "because"

    def op_read(self, event):
        return event.body["inputs"][0].read().decode()


def plain_function(body):
    return {"function": body}


def served(cls=ModelRouter, keys=("m1", "m2", "m3:v1", "m3:v2", "m3:v10"), **args):
    router = cls(**args)
    routes = {key: Named(name=key) for key in keys}
    for model in routes.values():
        model.post_init()
    routes["f"] = plain_function
    router.attach(MappingProxyType(routes))
    return router


async def answer_of(router, event):
    """Do what the engine does with a router."""
    choice = router.select(event)
    choice = await choice if inspect.isawaitable(choice) else choice
    if not isinstance(choice, str):
        return choice
    route = router.routes[choice]
    if hasattr(route, "do_event"):
        answer = route.do_event(event)
        answer = await answer if inspect.isawaitable(answer) else answer
    else:
        event.body, answer = route(event.body), event
    merged = router.merge(event, {choice: answer})
    return await merged if inspect.isawaitable(merged) else merged


def ask(router, path="/", body=None, method="", **event):
    method = method or ("GET" if body is None else "POST")
    return asyncio.run(answer_of(router, Event(body, path=path, method=method, **event)))


def test_it_is_what_the_engine_calls_a_router():
    assert isinstance(ModelRouter(), Router)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v2/models/m1/infer", {"inputs": [1]}, "m1"),
        ("/v2/models/m2/predict", {"inputs": [1]}, "m2"),
        ("/v2/models/m2", {"inputs": [1]}, "m2"),
        ("/v2/models/m3:v1/infer", {"inputs": [1]}, "m3:v1"),
        ("/v2/models/m3/versions/v2/infer", {"inputs": [1]}, "m3:v2"),
        ("/v2/models/m3/infer", {"inputs": [1]}, "m3:v10"),
        ("/v2/models/m%31/infer", {"inputs": [1]}, "m1"),
        ("/", {"inputs": [1]}, "m1"),
        ("/", {"inputs": [1], "model": "m2"}, "m2"),
        ("/", {"inputs": [1], "model": "m3"}, "m3:v10"),
        ("/v2/models", {"inputs": [1], "model": "m3:v1"}, "m3:v1"),
        ("/v2/models/m2/infer", {"inputs": [1], "model": "m1"}, "m2"),
        ("/v2/models/m1/infer", b'{"inputs": [1]}', "m1"),
        ("/", b'{"inputs": [1], "model": "m2"}', "m2"),
    ],
)
def test_a_request_reaches_the_model_it_names(path, body, expected):
    answer = ask(served(), path, body)
    assert answer.body["outputs"] == [expected, 1]
    assert answer.path == path


def test_the_body_names_the_operation_only_where_the_url_does_not():
    body = {"inputs": [1], "model": "m1", "operation": "explain"}
    assert ask(served(), "/", body).body["outputs"] == "because"
    assert ask(served(), "/v2/models/m1", body).body["outputs"] == "because"
    assert ask(served(), "/v2/models/m1/infer", body).body["outputs"] == ["m1", 1]


SERVER = {"name": "ModelRouter", "version": "v2", "extensions": []}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", SERVER),
        ("/v2", SERVER),
        ("/v2/health", SERVER),
        ("/v2/health/any", SERVER),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True, "live": True}),
        ("/v2/models", {"models": ["m1", "m2", "m3:v1", "m3:v2", "m3:v10", "f"]}),
        ("/v2/models/m1/ready", {"name": "m1", "ready": True}),
        ("/v2/models/f/ready", {"name": "f", "ready": True}),
        ("/v2/models/m1", {"name": "m1", "versions": [], "platform": "python", "inputs": [], "outputs": []}),
        ("/v2/models/f", {"name": "f", "versions": [], "platform": "", "inputs": [], "outputs": []}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_there_is_can_be_asked(path, method, expected):
    event = ask(served(), path, method=method)
    assert event.body == expected
    assert event.terminated


@pytest.mark.parametrize("path", ["/v2/models/m3", "/v2/models/m3:v1", "/v2/models/m3/versions/v2"])
def test_metadata_names_all_versions(path):
    body = ask(served(), path).body
    assert body["name"] == "m3"
    assert body["versions"] == ["v1", "v2", "v10"]


def test_a_function_may_be_a_route():
    assert ask(served(), "/v2/models/f/anything", {"a": 1}).body == {"function": {"a": 1}}
    assert ask(served(), "/v2/models/f", b"raw").body == {"function": b"raw"}


@pytest.mark.parametrize(
    ("path", "method", "body", "error", "told"),
    [
        ("/v2/models/m9/infer", "POST", {}, NotFound, r"Request for unknown model: 'm9'.*available models: m1, m2"),
        ("/v2/models/m9/ready", "GET", None, NotFound, "Request for unknown model: 'm9'"),
        ("/v2/models/m9", "GET", None, NotFound, "Request for unknown model: 'm9'"),
        ("/v2/models/m3/versions/v7/infer", "POST", {}, NotFound, "Request for unknown model: 'm3:v7'"),
        ("/", "POST", {"model": "m9"}, NotFound, "Request for unknown model: 'm9'"),
        ("/", "POST", {"model": 9}, BadEvent, '"model" to be a name'),
        ("/", "DELETE", None, MethodNotAllowed, "not DELETE"),
        ("/v2/models", "DELETE", None, MethodNotAllowed, "not DELETE"),
        ("/v2/health", "POST", {}, MethodNotAllowed, "takes GET"),
        ("/v2/modelsX/m1/infer", "POST", {}, NotFound, "must start with /v2/models"),
        ("/elsewhere", "GET", None, NotFound, "must start with /v2/models"),
        ("/v2/models/m1/infr", "POST", {"inputs": []}, NotFound, "no operation 'infr'; did you mean 'infer'"),
        ("/v2/models/m1/infer", "GET", None, MethodNotAllowed, "infer takes POST"),
        ("/v2/models/m1/infer", "POST", b"{", BadEvent, "line 1, column 2"),
        ("/v2/models/m1/infer", "POST", b"", BadEvent, "Expected a JSON object"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_status(path, method, body, error, told):
    with pytest.raises(error, match=told):
        ask(served(), path, body, method)


def test_a_router_without_models_says_so():
    with pytest.raises(NotFound, match="Request for unknown model: this router has no models"):
        ask(ModelRouter(), "/", {"inputs": []})


def test_readiness_names_the_models_that_are_not_ready():
    router = served()
    router.routes["m1"].ready = False
    router.routes["m2"].ready, router.routes["m2"].error = False, "ValueError: bad"
    answer = ask(router, "/v2/health/ready").body
    assert isinstance(answer, Response) and answer.status_code == 503
    assert (answer.body["ready"], answer.body["live"]) == (False, True)
    assert "'m1' (loading), 'm2' (ValueError: bad)" in answer.body["error"]


def test_routes_may_come_and_go():
    router = ModelRouter()
    routes = {}
    router.attach(routes)
    with pytest.raises(NotFound):
        ask(router, "/v2/models/m/infer", {"inputs": []})
    for key in ("m:v1", "m:v2"):
        routes[key] = Named(name=key)
        routes[key].post_init()
        assert ask(router, "/v2/models/m/infer", {"inputs": []}).body["outputs"] == [key]
    del routes["m:v2"]
    assert ask(router, "/v2/models/m/infer", {"inputs": []}).body["outputs"] == ["m:v1"]


def test_other_prefixes_and_the_first_protocol():
    router = served(url_prefix="/predict", health_prefix="/status")
    assert ask(router, "/predict/m1/infer", {"inputs": []}).body["outputs"] == ["m1"]
    assert ask(router, "/status/live").body == {"live": True}
    assert ask(served(protocol="v1"), "/v1/models").body["models"][0] == "m1"


def test_paths_say_where_the_request_is_and_where_the_answer_goes():
    request = {"req": {"inputs": [1], "model": "m2"}, "kept": 1}
    answer = ask(served(input_path="req", result_path="resp"), "/", request)
    assert answer.body["req"] == request["req"] and answer.body["kept"] == 1
    assert answer.body["resp"]["outputs"] == ["m2", 1]
    assert "resp" not in request


class Hooked(ModelRouter):
    def preprocess(self, event):
        event.body = {"inputs": event.body}
        return event

    def postprocess(self, event):
        event.body = event.body["outputs"]
        return event

    def get_metadata(self):
        return {"name": "mine"}


class AsyncHooked(Hooked):
    async def preprocess(self, event):
        await asyncio.sleep(0)
        return super().preprocess(event).copy()

    async def postprocess(self, event):
        return super().postprocess(event).copy()


@pytest.mark.parametrize("cls", [Hooked, AsyncHooked])
def test_a_router_of_ones_own_prepares_events_and_answers(cls):
    assert ask(served(cls), "/v2/models/m1/infer", [1, 2]).body == ["m1", 1, 2]
    assert ask(served(cls), "/").body == {"name": "mine"}


def test_a_hook_that_returns_no_event_is_told():
    class Forgets(ModelRouter):
        def preprocess(self, event):
            pass

    with pytest.raises(StepError, match="preprocess of router Forgets must return the event"):
        ask(served(Forgets), "/", {"inputs": []})


def test_a_router_that_selects_several_answers_with_the_bodies_by_name():
    router = ModelRouter()
    event = Event({"inputs": []})
    merged = router.merge(event, {"a": Event(1), "b": Event(2)})
    assert merged.body == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="bad"):
        router.merge(event, {"a": Event(1), "b": ValueError("bad")})


@pytest.fixture
def web():
    """A web server with eleven bytes of data, one redirect, and a count of its requests."""
    paths = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "/data")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", "11")
            self.end_headers()
            self.wfile.write(b"eleven data")

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("body", [{}, {"inputs": [1]}])
def test_nothing_is_fetched_for_a_request_unless_switched_on(web, body):
    url, paths = web
    with pytest.raises(Forbidden, match="allow_data_url"):
        ask(served(), "/v2/models/m1/read", {"data_url": f"{url}/data", **body})
    with pytest.raises(Forbidden, match="allow_data_url"):
        ask(served(), "/v2/models/m1/read", f'{{"data_url": "{url}/data"}}'.encode())
    assert paths == []


@pytest.mark.parametrize("allowed", [True, ["127.0.0.1"], "127.0.0.1"])
def test_data_is_fetched_where_that_is_switched_on(web, allowed):
    url, _ = web
    assert ask(served(allow_data_url=allowed), "/v2/models/m1/read", {"data_url": f"{url}/data"}).body == "eleven data"


def test_only_web_addresses_of_allowed_hosts_are_fetched_and_only_so_much(web, tmp_path):
    url, paths = web
    (tmp_path / "secret").write_text("secret")
    for bad in (f"file://{tmp_path}/secret", str(tmp_path / "secret"), "s3://b/a", "http://", 5, None):
        with pytest.raises(BadEvent, match="http"):
            ask(served(allow_data_url=True), "/v2/models/m1/read", {"data_url": bad})
    with pytest.raises(Forbidden, match=r"host '127\.0\.0\.1'"):
        ask(served(allow_data_url=["data.example"]), "/v2/models/m1/read", {"data_url": f"{url}/data"})
    assert paths == []
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        ask(served(allow_data_url=True, max_data_bytes=10), "/v2/models/m1/read", {"data_url": f"{url}/data"})


def test_a_redirect_is_not_followed_for_a_request(web):
    url, paths = web
    with pytest.raises(BadEvent, match="302"):
        ask(served(allow_data_url=True), "/v2/models/m1/read", {"data_url": f"{url}/away"})
    assert paths == ["/away"]
