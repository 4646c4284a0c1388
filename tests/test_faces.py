import importlib
import subprocess
import sys

import pytest
from tests import stubs

import servegraph
from servegraph import serving, storey

HEAVY = ["numpy", "pandas", "sklearn", "httpx", "uvicorn", "rich", "fsspec", "click", "yaml", "msgspec", "asyncio"]


def python(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )


def test_importing_servegraph_imports_nothing_heavy():
    loaded = python("import sys, servegraph; print(*sys.modules)").stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_defining_and_running_a_graph_needs_no_http_client_and_no_data_library():
    code = """
import sys, servegraph
fn = servegraph.new_function("f")
fn.set_topology("flow", engine="sync").to(name="s", handler="(event + 1)").respond()
assert fn.to_mock_server().test("/", 1) == 2
print(*sys.modules)
"""
    loaded = python(code).stdout.split()
    assert not {"numpy", "pandas", "sklearn", "httpx", "uvicorn", "rich", "click"} & set(loaded)


def test_the_import_takes_less_than_150_milliseconds():
    code = "import time; a = time.perf_counter(); import servegraph; print(time.perf_counter() - a)"
    best = min(float(python(code).stdout) for _ in range(3))
    assert best < 0.150


@pytest.mark.parametrize("face", [servegraph, serving, storey], ids=lambda face: face.__name__)
def test_every_name_of_a_face_is_there_and_sorted(face):
    assert face.__all__ == sorted(face.__all__)
    for name in face.__all__:
        assert getattr(face, name) is not None
        assert name in dir(face)


@pytest.mark.parametrize(
    ("face", "name", "hint"),
    [
        (servegraph, "new_functon", "new_function"),
        (serving, "V2Modelserver", "V2ModelServer"),
        (storey, "Extnd", "Extend"),
    ],
)
def test_a_wrong_name_is_said_with_the_nearest(face, name, hint):
    with pytest.raises(
        AttributeError, match=f"module '{face.__name__}' has no attribute '{name}'; did you mean '{hint}'"
    ):
        getattr(face, name)


def test_submodules_are_there_without_importing_them():
    code = "import servegraph as mlrun; print(mlrun.serving.V2ModelServer.__name__, mlrun.serving.ModelRouter.__name__)"
    assert python(code).stdout.split() == ["V2ModelServer", "ModelRouter"]
    assert python("from servegraph import storey; print(storey.Extend.__name__)").stdout.split() == ["Extend"]


def test_everything_is_imported_by_a_star():
    assert python("from servegraph import *; print(new_function('x').metadata.name)").stdout.split() == ["x"]


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert servegraph.__version__ == version("servegraph")


@pytest.mark.parametrize("face", stubs.FACES)
def test_type_checkers_see_what_the_face_offers(face):
    assert stubs.path_of(face).read_text() == stubs.stub(importlib.import_module(face)._NAMES)


def test_a_subclass_of_a_lazy_name_is_typed(tmp_path):
    code = (
        "import servegraph\nfrom servegraph import serving\n\n\n"
        "class Model(serving.V2ModelServer):\n    pass\n\n\nfn = servegraph.new_function('f')\nreveal_type(fn)\n"
    )
    (tmp_path / "user.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert "ServingFunction" in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout
