import asyncio
import json
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.engine.graphs import flow, mock
from tests.steps.serving import engines, one, serve, together

from servegraph.serve.settings import Settings
from servegraph.storey import HttpRequest, SendToHttp


@pytest.fixture
def service():
    """A server that says back what it was asked, and counts its connections."""
    connections = []

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            connections.append(self.client_address)

        def do_POST(self):
            asked = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/slow":
                released.wait(10)
            said = {"asked": asked.decode(), "path": self.path, "x": self.headers.get("x-test"), "method": self.command}
            answer = json.dumps(said).encode()
            self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST
        do_GET = do_POST

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    released = threading.Event()
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.connections = connections
        yield server
        released.set()
        server.shutdown()
        thread.join()


def joined(body, response):
    return [body, response.status, json.loads(response.body)]


def sender(service, path="/p", **options):
    def build(event):
        return HttpRequest("POST", service.url + path, event.body, {"x-test": "yes"})

    return SendToHttp(build, joined, **options)


@engines
def test_the_answer_of_a_service_is_joined_into_the_body(engine, service):
    ((body, status, said),) = one(engine, sender(service), {"n": 1})
    assert (body, status) == ({"n": 1}, 200)
    assert json.loads(said.pop("asked")) == {"n": 1}
    assert said == {"path": "/p", "x": "yes", "method": "POST"}


@engines
def test_a_status_of_400_or_more_is_for_the_join_to_judge(engine, service):
    ((_, status, _),) = one(engine, sender(service, "/missing"), "text")
    assert status == 404


@engines
def test_a_join_that_returns_nothing_drops_the_event(engine, service):
    step = SendToHttp(lambda event: HttpRequest("GET", service.url), lambda body, response: None)
    assert one(engine, step, 1) == [None]


@engines
def test_both_functions_may_be_async_and_paths_are_kept(engine, service):
    async def build(event):
        await asyncio.sleep(0)
        return HttpRequest("PUT", service.url, str(event.body["n"]))

    async def join(seen, response):
        await asyncio.sleep(0)
        return [seen, json.loads(response.body)["asked"]]

    step = SendToHttp(build, join, input_path="n", result_path="r")
    answers = one(engine, step, {"n": 1})
    assert answers == [{"n": 1, "r": [1, "1"]}]


@engines
def test_full_event_gives_the_join_the_event(engine, service):
    def join(event, response):
        event.body = [event.path, response.status]
        return event

    assert one(engine, SendToHttp(lambda event: HttpRequest("GET", service.url), join, full_event=True), 1) == [
        ["/", 200]
    ]


def test_connections_are_kept_and_requests_run_at_once(service):
    with serve(lambda graph: graph.to(sender(service)).respond()) as server:
        for _ in range(20):
            server.test(body=1)
        assert len(service.connections) == 1
        together(server, *range(20))
        assert len(service.connections) <= 21


def test_a_request_does_not_outlive_its_events_deadline(service):
    graph = flow("async", s={"class_name": "Slow", "responder": True})
    with mock(graph, settings=Settings(request_timeout=0.1), Slow=lambda: sender(service, "/slow")) as server:
        assert server.test(body=1, silent=True).status_code == 504
        server.wait_for_completion()
        assert server.server.in_flight == 0


@engines
def test_a_service_that_is_not_there_fails_the_event(engine):
    step = SendToHttp(lambda event: HttpRequest("GET", "http://127.0.0.1:9"), joined)
    ((status, error),) = one(engine, step, 1)
    assert status == 500
    assert "connect" in error.lower()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here to make a certificate")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the refused connection, on the side of the test's own server
def test_a_certificate_that_nobody_vouches_for_is_refused(service, tmp_path):
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*command, *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    service.handle_error = lambda *_: None  # it would print what the refusing client did
    service.socket = context.wrap_socket(service.socket, server_side=True)
    step = SendToHttp(lambda event: HttpRequest("GET", service.url.replace("http", "https")), joined)
    ((status, error),) = one("async", step, 1)
    assert status == 500
    assert "CERTIFICATE_VERIFY_FAILED" in error


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="request_builder of SendToHttp must be a function, not int"):
        SendToHttp(3, print)
