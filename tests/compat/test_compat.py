"""Each test is a program of its own: what is in sys.modules belongs to a whole process."""

import subprocess
import sys
import textwrap

import pytest

from servegraph.compat.tables import TABLES


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, **options
    )


def output(code, **options):
    done = run(code, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_program_written_for_mlrun_runs():
    code = """
        import servegraph.compat
        import mlrun
        import mlrun.artifacts
        from mlrun.serving import GraphServer, V2ModelServer

        class Doubler(V2ModelServer):
            def load(self):
                self.model = 2

            def predict(self, body):
                return [value * self.model for value in body["inputs"]]

        fn = mlrun.new_function("models", kind="serving", image="mlrun/mlrun")
        graph = fn.set_topology("flow")
        graph.to("storey.Extend", "enrich", _fn="({'tag': 1})").to(
            mlrun.serving.ModelRouter(), name="router"
        ).respond()
        graph["router"].add_route("m1", class_name="Doubler", model_path=".")
        with fn.to_mock_server() as server:
            assert isinstance(server, GraphServer)
            print(server.test("/v2/models/m1/infer", {"inputs": [1, 2]})["outputs"])
    """
    assert output(code) == ["[2, 4]"]


def test_dotted_names_in_graphs_mean_the_same_with_and_without_the_import():
    code = """
        %s
        import servegraph
        fn = servegraph.new_function("models")
        graph = fn.set_topology("flow")
        graph.to("mlrun.feature_store.steps.DropFeatures", "drop", features=["b"]).to("storey.steps.ForEach", _fn="(event)")
        graph.add_step("mlrun.serving.merger.Merge", "merge", after="$prev").respond()
        with fn.to_mock_server() as server:
            print(fn.check(), server.test("/", {"a": 1, "b": 2}))
            print(*(type(node.owner).__module__ for node in server.server.plan.nodes.values()))
    """
    with_it = output(code % "import servegraph.compat, mlrun, storey")
    assert with_it == output(code % "") != []


def test_a_program_written_for_storey_runs():
    code = """
        import servegraph.compat
        import storey
        from storey import Complete, Map, SyncEmitSource, build_flow
        from storey.dtypes import Event
        from storey.steps import Flatten

        controller = build_flow([SyncEmitSource(), storey.flow.Map(lambda x: x + 1), Complete()]).run()
        print(controller.emit(Event(1, key="k")).await_result())
        controller.terminate()
        controller.await_termination()
    """
    assert output(code) == ["2"]


@pytest.mark.parametrize("form", ["import {}", "import {} as it", "from {} import *"])
def test_every_module_can_be_imported_with_all_it_offers(form):
    lines = ["import servegraph.compat, sys"]
    for module, table in TABLES.items():
        lines += [form.format(module)]
        lines += [f"assert sys.modules['{module}'].{name} is not None" for name in table]
    assert output("\n".join(lines)) == []


def test_submodules_are_there_after_importing_the_package_alone():
    code = """
        import servegraph.compat, mlrun
        print(mlrun.serving.states.TaskStep.__name__, mlrun.frameworks.sklearn.SKLearnModelServer.__name__)
        print("serving" in dir(mlrun), "new_function" in dir(mlrun))
    """
    assert output(code) == ["TaskSpec SKLearnModelServer", "True True"]


def test_nothing_is_imported_before_it_is_used():
    code = "import servegraph.compat, mlrun.serving, storey, sys; print('servegraph.models.server' in sys.modules)"
    assert output(code) == ["False"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import mlrun.model_monitoring",
            "ModuleNotFoundError: there is no 'mlrun.model_monitoring': servegraph.compat",
        ),
        ("import mlrun; mlrun.new_functon", "AttributeError: 'mlrun' has no 'new_functon'"),
        ("import mlrun; mlrun.new_functon", "did you mean 'new_function'?"),
        ("from storey import Driver", "ModuleNotFoundError: there is no 'storey.Driver': servegraph.compat"),
        ("from storey.table import Table", "ModuleNotFoundError: there is no 'storey.table.Table'"),
        ("from mlrun.serving import V2ModelServr", "did you mean 'mlrun.serving.V2ModelServer'?"),
        ("import storey.sql_driver", "see docs/from-mlrun.md"),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(code, told):
    done = run(f"import servegraph.compat; {code}")
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("package", ["mlrun", "storey"])
def test_the_real_packages_are_not_pushed_aside(package, tmp_path):
    (tmp_path / f"{package}.py").write_text("")
    done = run(f"import {package}; import servegraph.compat", cwd=tmp_path)
    assert done.returncode == 1
    assert f"ImportError: '{package}' is imported already" in done.stderr.splitlines()[-1]


def test_ours_come_before_real_ones_that_are_only_installed(tmp_path):
    (tmp_path / "mlrun.py").write_text("raise RuntimeError")
    assert output("import servegraph.compat, mlrun; print(mlrun.new_function('f').kind)", cwd=tmp_path) == ["serving"]


def test_without_compat_the_names_are_not_taken():
    assert "No module named 'storey'" in run("import servegraph, servegraph.storey, storey").stderr


def test_the_logger_takes_named_values():
    code = """
        import logging, servegraph.compat
        from mlrun.utils import logger
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        logger.info("loaded", model="m1")
    """
    assert run(code).stderr == "loaded [model='m1']\n"
