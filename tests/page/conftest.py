"""What stands in for the page's remote store: a local HTTP server with the model file."""

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cloudpickle
import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

# What the page prints for the 150 rows of iris.
_PAGE = [0] * 50 + [1] * 50 + [2] * 50
for _row, _answer in {52: 2, 72: 2, 77: 2, 83: 2, 106: 1, 126: 1, 138: 1}.items():
    _PAGE[_row] = _answer


@pytest.fixture(scope="session")
def page_answers() -> list[int]:
    return list(_PAGE)


@pytest.fixture(scope="session")
def page_model(tmp_path_factory) -> Path:
    """The file of a model that has learned the answers which the page's own model gives."""
    folder: Path = tmp_path_factory.mktemp("store")
    model = KNeighborsClassifier(n_neighbors=1).fit(load_iris()["data"], _PAGE)
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    return folder / "model.pkl"


@pytest.fixture
def page_folder(page_model, tmp_path) -> Path:
    """A folder to run the page in, with the file that its build commands would have put there."""
    shutil.copy(page_model, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def page_model_url(page_model) -> Iterator[str]:
    """The URL of that model."""
    handler = functools.partial(_Quiet, directory=str(page_model.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/model.pkl"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line on stderr for each."""

    def log_message(self, *_: object) -> None:
        pass
