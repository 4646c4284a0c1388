import asyncio
import gc
import inspect
import os
import threading
import weakref
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servegraph.context import Context
from servegraph.errors import (
    ArtifactError,
    BadEvent,
    GraphError,
    MethodNotAllowed,
    NotFound,
    NotReady,
    StepError,
    Unsupported,
)
from servegraph.events import Event, Response
from servegraph.models.server import V2ModelServer


class Times(V2ModelServer):
    def predict(self, request):
        return [each * self.get_param("k", 2) for each in request["inputs"]]

    def explain(self, request):
        return {"because": request["inputs"]}

    def op_hello(self, event):
        return {"hi": (event.body or {}).get("who"), "method": event.method}


def loaded(cls=Times, name="m", **args):
    model = cls(name=name, **args)
    model.post_init()
    return model


def ask(model, path="infer", body=None, method="POST", **event):
    answer = model.do_event(Event(body, path=path, method=method, **event))
    return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer


async def _awaited(answer):
    return await answer


# Answers.


@pytest.mark.parametrize("path", ["infer", "predict", ""])
def test_inputs_are_answered_with_outputs(path):
    body = ask(loaded(k=3), path, {"inputs": [1, 2]}, id="E").body
    stamp = body.pop("timestamp")
    assert body == {"id": "E", "model_name": "m", "outputs": [3, 6]}
    assert stamp.endswith("+00:00")


def test_the_key_says_the_version_and_answers_carry_it():
    model = loaded(name="m:v2")
    body = ask(model, body={"inputs": [1]}).body
    assert (body["model_name"], body["model_version"]) == ("m", "v2")
    assert model.get_metadata()["versions"] == ["v2"]
    assert "model_version" not in ask(loaded(), body={"inputs": [1]}).body


def test_the_requests_id_is_the_answers_and_the_events():
    answer = ask(loaded(), body={"inputs": [], "id": "mine"}, id="E")
    assert answer.body["id"] == answer.id == "mine"
    odd = ask(loaded(), body={"inputs": [], "id": "a\r\nb"}, id="E")
    assert (odd.body["id"], odd.id) == ("a\r\nb", "E")
    with pytest.raises(BadEvent, match='"id"'):
        ask(loaded(), body={"inputs": [], "id": {}})


def test_the_callers_body_stays_as_it_was():
    request = {"inputs": [1], "id": "x", "more": {"a": 1}}
    ask(loaded(), body=request)
    assert request == {"inputs": [1], "id": "x", "more": {"a": 1}}


def test_explain_answers_in_the_same_shape():
    body = ask(loaded(), "explain", {"inputs": [1]}).body
    assert body["outputs"] == {"because": [1]}
    assert body["model_name"] == "m"


def test_a_custom_operation_answers_verbatim_and_takes_any_method():
    assert ask(loaded(), "hello", {"who": "x"}).body == {"hi": "x", "method": "POST"}
    assert ask(loaded(), "hello", method="GET").body == {"hi": None, "method": "GET"}


@pytest.mark.parametrize("path", ["infer_dict", "predict_dict"])
def test_dicts_are_put_in_the_order_of_the_models_inputs(path):
    class Rows(Times):
        def predict(self, request):
            return request["inputs"]

    model = loaded(Rows, inputs=["b", "a"])
    assert ask(model, path, {"inputs": [{"a": 1, "b": 2}]}).body["outputs"] == [[2, 1]]
    with pytest.raises(BadEvent, match="order of its inputs"):
        ask(loaded(Rows), path, {"inputs": [{"a": 1, "b": 2}]})


def test_a_body_that_no_door_has_parsed_is_parsed():
    assert ask(loaded(), body=b'{"inputs": [1]}', content_type="application/octet-stream").body["outputs"] == [2]


def test_paths_say_where_the_request_is_and_where_the_answer_goes():
    model = loaded(input_path="req", result_path="resp.all")
    request = {"req": {"inputs": [1]}}
    body = ask(model, "/", request, id="E").body
    assert body["req"] == {"inputs": [1]}
    assert body["resp"]["all"]["outputs"] == [2]
    assert request == {"req": {"inputs": [1]}}


# Refusals.


@pytest.mark.parametrize(
    ("path", "method", "body", "error", "told"),
    [
        ("infer", "GET", None, MethodNotAllowed, "infer takes POST, not GET"),
        ("infer", "DELETE", None, MethodNotAllowed, "infer takes POST, not DELETE"),
        ("explain", "GET", None, MethodNotAllowed, "explain takes POST"),
        ("ready", "POST", {}, MethodNotAllowed, "ready takes GET"),
        ("infer", "POST", {}, BadEvent, 'key "inputs"'),
        ("infer", "POST", {"inputs": 1}, BadEvent, "to be a list"),
        ("infer", "POST", None, BadEvent, "not nothing"),
        ("infer", "POST", b"{", BadEvent, "line 1, column 2"),
        ("infr", "POST", {"inputs": [1]}, NotFound, "no operation 'infr'; did you mean 'infer'"),
        ("zzzz", "POST", {"inputs": [1]}, NotFound, "it has explain, hello, infer"),
        ("", "POST", {"inputs": [1], "operation": "nope"}, NotFound, "no operation 'nope'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_status(path, method, body, error, told):
    with pytest.raises(error, match=told):
        ask(loaded(), path, body, method)


def test_put_and_patch_send_requests_too():
    for method in ("PUT", "PATCH"):
        assert ask(loaded(), body={"inputs": [1]}, method=method).body["outputs"] == [2]


def test_a_model_without_explain_says_so():
    class Bare(V2ModelServer):
        def predict(self, request):
            return []

    with pytest.raises(Unsupported, match="does not explain"):
        ask(loaded(Bare), "explain", {"inputs": []})


def test_the_body_names_the_operation_only_where_the_path_does_not():
    request = {"inputs": [1], "operation": "explain"}
    assert ask(loaded(), "", request).body["outputs"] == {"because": [1]}
    assert ask(loaded(), "infer", request).body["outputs"] == [2]


# Alone in a flow.


@pytest.mark.parametrize("path", ["/", "/infer", "/anything/else", "/v2/models/other/infer", "/v2/models/m"])
def test_alone_in_a_flow_any_path_that_names_nothing_else_means_infer(path):
    assert ask(loaded(), path, {"inputs": [1]}).body["outputs"] == [2]


def test_alone_in_a_flow_a_path_may_name_an_operation():
    assert ask(loaded(), "/v2/models/m/hello", {"who": "x"}).body["hi"] == "x"
    assert ask(loaded(), "/hello", {"who": "x"}).body["hi"] == "x"
    assert ask(loaded(), "/", {"inputs": [1], "operation": "explain"}).body["outputs"] == {"because": [1]}
    assert ask(loaded(), "/", method="GET").body["name"] == "m"
    assert ask(loaded(), "/ready", method="HEAD").body == {"name": "m", "ready": True}
    with pytest.raises(MethodNotAllowed):
        ask(loaded(), "/anything", method="GET")
    with pytest.raises(NotFound):
        ask(loaded(), "/v2/models/m/hallo", {"who": "x"})


# Hooks.


class Hooked(V2ModelServer):
    def preprocess(self, request, operation):
        self.seen = [operation]
        return {"inputs": [request["one"]]} if "one" in request else request

    def validate(self, request, operation):
        if request["inputs"] == [0]:
            raise BadEvent("no zero")
        return request

    def predict(self, request):
        return request["inputs"]

    def postprocess(self, response):
        return {"only": response["outputs"]}


class AsyncHooked(Hooked):
    async def preprocess(self, request, operation):
        await asyncio.sleep(0)
        return super().preprocess(request, operation)

    async def validate(self, request, operation):
        return super().validate(request, operation)

    async def predict(self, request):
        await asyncio.sleep(0)
        return request["inputs"]

    async def explain(self, request):
        return ["why"]

    async def postprocess(self, response):
        return super().postprocess(response)

    async def op_later(self, event):
        await asyncio.sleep(0)
        return {"later": event.body}


@pytest.mark.parametrize("cls", [Hooked, AsyncHooked])
def test_hooks_run_in_order_async_or_not(cls):
    model = loaded(cls)
    assert ask(model, body={"one": 1}).body == {"only": [1]}
    assert model.seen == ["infer"]
    with pytest.raises(BadEvent, match="no zero"):
        ask(model, body={"one": 0})


def test_async_explain_and_operations_are_awaited():
    model = loaded(AsyncHooked)
    assert ask(model, "explain", {"inputs": [1]}).body == {"only": ["why"]}
    assert ask(model, "later", 5).body == {"later": 5}


def test_hooks_of_a_mixin_count():
    class Mixin:
        def postprocess(self, response):
            return {"mixed": response["outputs"]}

    class Mixed(Mixin, Times):
        pass

    assert ask(loaded(Mixed), body={"inputs": [1]}).body == {"mixed": [2]}


def test_a_preprocess_hook_gets_bytes_that_are_no_json():
    class Raw(V2ModelServer):
        def preprocess(self, request, operation):
            return {"inputs": list(request)}

        def predict(self, request):
            return request["inputs"]

    assert ask(loaded(Raw), body=b"\x00\xff").body["outputs"] == [0, 255]


# Parameters.


def test_parameters_are_the_models_then_the_functions():
    context = Context(parameters={"k": 5, "other": 6})
    model = loaded(k=3, context=context)
    assert (model.get_param("k"), model.get_param("other"), model.get_param("none", 7)) == (3, 6, 7)
    assert loaded(k=0, context=context).get_param("k") == 0
    assert loaded().get_param("k", 9) == 9


def test_metrics_are_kept():
    model = loaded()
    model.set_metric("loss", 0.5)
    assert model.metrics == {"loss": 0.5}


# Metadata and readiness.


def test_metadata_has_the_protocols_shape():
    model = loaded(inputs=[{"name": "x", "datatype": "FP64", "shape": [-1, 4]}], outputs=["label"])
    event = ask(model, "", method="GET")
    assert event.body == {
        "name": "m",
        "versions": [],
        "platform": "python",
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "label"}],
    }
    assert event.terminated


class Gated(Times):
    """Loads when the test says so, and fails when there is an error to fail with."""

    def __init__(self, *args, gate, error=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.gate, self.failure, self.over = gate, error, threading.Event()

    def load(self):
        try:
            assert self.gate.wait(30)
            if self.failure:
                raise self.failure
        finally:
            self.over.set()


def wait_until(true):
    for _ in range(3000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("never came true")


def test_a_model_loads_in_the_background_and_is_not_ready_until_then():
    gate = threading.Event()
    model = Gated(name="m:v1", gate=gate)
    model.post_init("async")
    with pytest.raises(NotReady, match="still loading") as caught:
        ask(model, body={"inputs": [1]})
    assert (caught.value.status_code, caught.value.retry_after) == (503, 1.0)
    told = ask(model, "ready", method="GET").body
    assert isinstance(told, Response) and told.status_code == 503
    assert (told.body["name"], told.body["ready"]) == ("m", False)
    assert "still loading" in told.body["error"]
    gate.set()
    wait_until(lambda: model.ready)
    assert ask(model, "ready", method="GET").body == {"name": "m", "ready": True}
    assert ask(model, body={"inputs": [1]}).body["outputs"] == [2]


def test_a_failed_load_in_the_background_tells_the_true_error(caplog):
    gate = threading.Event()
    gate.set()
    model = Gated(name="m", gate=gate, error=ValueError("bad file"))
    model.post_init("async")
    wait_until(lambda: model.error)
    with pytest.raises(NotReady, match="model 'm' failed to load: ValueError: bad file") as caught:
        ask(model, body={"inputs": [1]})
    assert caught.value.retry_after is None
    told = ask(model, "ready", method="GET").body
    assert told.status_code == 503 and "ValueError: bad file" in told.body["error"]
    wait_until(lambda: "bad file" in caplog.text)


def test_a_failed_load_at_start_names_the_model_and_the_cause():
    class Fails(Times):
        def load(self):
            raise KeyError("weights")

    with pytest.raises(StepError, match="model 'm' failed to load: KeyError: 'weights'") as caught:
        loaded(Fails)
    assert isinstance(caught.value.__cause__, KeyError)


def test_classes_that_could_never_answer_are_refused_at_start():
    with pytest.raises(GraphError, match="defines no predict"):
        loaded(V2ModelServer)

    class Async(Times):
        async def load(self):
            pass

    with pytest.raises(GraphError, match="must not be async"):
        loaded(Async)
    with pytest.raises(GraphError, match="has no load"):
        loaded(Times, model_path="model.pkl")


def test_a_class_of_operations_alone_may_serve():
    class OnlyOps(V2ModelServer):
        def op_ping(self, event):
            return "pong"

    model = loaded(OnlyOps)
    assert ask(model, "ping").body == "pong"
    with pytest.raises(Unsupported, match="does not predict"):
        ask(model, body={"inputs": []})


# Files.


class FromFile(V2ModelServer):
    def load(self):
        path, self.extra = self.get_model(".txt")
        with open(path) as file:
            self.model = int(file.read())
        self.path = path

    def predict(self, request):
        return [each * self.model for each in request["inputs"]]


@pytest.fixture
def site(tmp_path):
    """A folder and the address of a web server that serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_comes_from_a_folder_a_file_or_the_web(site):
    folder, url = site
    (folder / "m.txt").write_text("3")
    (folder / "labels.json").write_text("[]")
    for path in (str(folder), f"file://{folder}/m.txt", f"{url}/m.txt"):
        model = loaded(FromFile, model_path=path)
        assert ask(model, body={"inputs": [2]}).body["outputs"] == [6]
    assert loaded(FromFile, model_path=str(folder)).extra == {"labels.json": str(folder / "labels.json")}
    assert loaded(Times).get_model() == (None, None)


def test_a_digest_among_the_parameters_is_checked(site):
    folder, url = site
    (folder / "m.txt").write_text("3")
    with pytest.raises(StepError, match="not the file that was promised") as caught:
        loaded(FromFile, model_path=f"{url}/m.txt", sha256="0" * 64)
    assert isinstance(caught.value.__cause__, ArtifactError)


def test_a_closed_model_lets_go_of_its_files_and_is_collected(site):
    folder, url = site
    (folder / "m.txt").write_text("3")
    model = loaded(FromFile, model_path=f"{url}/m.txt")
    ask(model, body={"inputs": [2]})
    path, gone = model.path, weakref.ref(model)
    assert os.path.exists(path)
    model.close()
    assert not os.path.exists(path)
    gc.disable()  # a model must not need the collector to go
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()
