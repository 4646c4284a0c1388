"""A folder with the code and the files that faulty functions name, and the ways to put a function there."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CODE = """
class Adder:
    def __init__(self, add):
        self.add = add

    def do(self, body):
        return body + self.add


class Whole:
    def do_event(self, event):
        return event


class Empty:
    pass


def parse(body):
    return float(body["price"])
"""

MODELS = """
import servegraph


class Model(servegraph.serving.V2ModelServer):
    def load(self):
        pass

    def predict(self, request):
        return request["inputs"]


class Refusing:
    def __init__(self, url):
        raise ConnectionError(f"nobody answers at {url}")

    def do(self, body):
        return body


class Crashing(Model):
    def load(self):
        raise ValueError("the vocabulary is empty")


class Leaving(Model):
    def load(self):
        raise SystemExit("no licence")


class Waiting(Model):
    async def load(self):
        pass


class Mute(servegraph.serving.V2ModelServer):
    def load(self):
        pass


class Unread(servegraph.serving.V2ModelServer):
    def predict(self, request):
        return []


class Pool:
    def post_init(self, mode):
        raise OSError("no connection is left")

    def do(self, body):
        return body
"""

HEAD = "import servegraph\n\nfn = servegraph.new_function('prices-of-fruit')\n"


@contextlib.contextmanager
def folder_of_code() -> Iterator[Path]:
    """Give a current folder whose modules can be imported until the block is left."""
    modules = {"prices.py": CODE, "models.py": MODELS, "stale.py": "import a_package_that_is_gone\n"}
    for file in modules:
        sys.modules.pop(file.removesuffix(".py"), None)
    known, path = set(sys.modules), list(sys.path)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name).resolve()
        for file, code in modules.items():
            (folder / file).write_text(code)
        for kind in ("one", "two", "none"):
            (folder / kind).mkdir()
        for file in ("one/a.pkl", "two/a.pkl", "two/b.pkl"):
            (folder / file).write_bytes(pickle.dumps({"no": "model"}, protocol=4))
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            yield folder
        finally:
            sys.path[:] = path
            for module in set(sys.modules) - known:
                if str(getattr(sys.modules[module], "__file__", "")).startswith(str(folder)):
                    del sys.modules[module]
