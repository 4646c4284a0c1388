import json
import sys

import pytest
from click.testing import CliRunner

from servegraph.cli import main
from servegraph.function import import_function
from servegraph.serve.http import serve_in_background


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments, **options):
        return CliRunner().invoke(main, arguments, **options)

    return run


def test_a_sound_function_is_told_to_be_sound(run):
    done = run("check", "sg_app.py:fn")
    assert (done.exit_code, done.stdout) == (0, "ok: factors of sg_app.py:fn can be served\n")


def test_check_looks_at_every_function_that_has_a_graph(run):
    assert run("check", "sg_flows.py").stdout == "ok: first-flow, second-flow of sg_flows.py can be served\n"


def test_check_lists_all_faults_and_fails(run):
    done = run("check", "sg_broken.py")
    assert done.exit_code == 1
    assert "2 faults in sg_broken.py" in done.stdout
    assert "'missing'" in done.stdout
    assert "'Missing'" in done.stdout


def test_check_tells_faults_as_json(run):
    done = run("check", "sg_broken.py", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (told["target"], told["functions"]) == ("sg_broken.py", ["broken"])
    assert [(fault["function"], fault["step"]) for fault in told["faults"]] == [("broken", "a"), ("broken", "b")]
    assert json.loads(run("check", "graph.yaml", "--json").stdout)["faults"] == []


def test_check_tells_what_went_wrong_while_loading(run, folder):
    (folder / "sg_raises.py").write_text("import servegraph\n\nservegraph.new_function('x').set_topology('rooter')\n")
    (folder / "sg_crashes.py").write_text("1 / 0\n")
    (folder / "wrong.yaml").write_text("steps: {a: {handlr: x}, b: {kind: tsk}}")
    assert "unsupported topology 'rooter'" in run("check", "sg_raises.py").stdout
    assert "sg_crashes.py, line 1: ZeroDivisionError" in run("check", "sg_crashes.py").stdout
    done = run("check", "wrong.yaml", "--json")
    assert done.exit_code == 1
    assert [fault["step"] for fault in json.loads(done.stdout)["faults"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "sg_ap.py"), "there is no file 'sg_ap.py'; did you mean 'sg_app.py'?"),
        (("check", "sg_app"), "'sg_app' is no target: give a file that ends with .py, .ipynb"),
        (("check", "sg_app.py:fnn"), "'sg_app.py' has no function 'fnn', it has: fn, empty; did you mean 'fn'?"),
        (("check", "sg_bare.py"), "'sg_bare.py' has no function: make one with"),
        (("check", "graph.yaml:x"), "'graph.yaml' is one function"),
        (("plot", "sg_flows.py", "-o", "x.svg"), "several functions (first, second-flow): say which, as in"),
        (("chek", "sg_app.py"), "there is no command 'chek', there are: check, invoke, plot, serve, version; did you"),
        (("serve", "sg_app.py", "--max-body", "much"), "'much' is no size; write it like 500k or 10MB"),
        (("serve", "sg_app.py", "--set", "max_waiting"), "'max_waiting' has no '='"),
        (("invoke", "sg_app.py", "/", "-d", "@gone.json"), "there is no file 'gone.json' to send"),
    ],
)
def test_a_wrong_command_line_is_explained(run, arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_the_only_function_with_a_graph_is_meant(run):
    assert run("check", "sg_app.py").exit_code == 0
    assert run("check", "sg_app.py:factors").exit_code == 0


def test_errors_come_without_a_traceback_unless_asked_for(run, folder):
    (folder / "sg_crashes.py").write_text("1 / 0\n")
    done = run("plot", "sg_crashes.py", "-o", "x.svg")
    assert done.exit_code == 1
    assert done.stderr == "Error: sg_crashes.py, line 1: ZeroDivisionError: division by zero\n"
    assert "Traceback" in run("--verbose", "plot", "sg_crashes.py", "-o", "x.svg").stderr


def test_a_picture_is_drawn(run, folder):
    done = run("plot", "sg_app.py", "-o", "graph.svg", "--rankdir", "TB")
    assert (done.exit_code, done.stdout) == (0, "wrote graph.svg\n")
    assert "<svg" in (folder / "graph.svg").read_text()


def test_a_file_is_asked_without_a_server(run):
    done = run("invoke", "sg_app.py", "/v2/models/m/infer", "-d", '{"inputs": [1, 2]}')
    assert json.loads(done.stdout)["outputs"] == [3, 6]
    assert run("invoke", "graph.yaml", "-d", "4").stdout == "8\n"
    assert run("invoke", "graph.yaml", "/", "-d", "-", input="5").stdout == "10\n"
    assert run("invoke", "sg_flows.py:second-flow", "/", "-d", "plain text").stdout == "plain text\n"


def test_a_body_may_come_from_a_file(run, folder):
    (folder / "rows.json").write_text("21")
    assert run("invoke", "graph.yaml", "/", "-d", "@rows.json").stdout == "42\n"


def test_an_error_answer_is_shown_and_fails(run):
    done = run("invoke", "sg_app.py", "/v2/models/x/infer", "-d", '{"inputs": [1]}')
    assert done.exit_code == 1
    assert done.stdout == ""
    assert '"type":"NotFound"' in done.stderr
    assert "Error: status 404" in done.stderr


def test_a_url_is_asked_like_a_file(run):
    function = import_function("graph.yaml")
    with serve_in_background(function.builder()) as address:
        assert run("invoke", address, "/", "-d", "4", "-H", "x-a: b").stdout == "8\n"
        assert run("invoke", address, "/", "-d", '"a"', "-X", "PUT").stdout == "aa\n"
    gone = run("invoke", address, "/", "--timeout", "5")
    assert gone.exit_code == 1
    assert gone.stderr.startswith(f"Error: cannot reach {address}/")


def test_help_teaches_by_examples(run):
    assert "servegraph check app.py" in run("--help").stdout
    for command in ("serve", "check", "plot", "invoke", "version"):
        done = run(command, "--help")
        assert done.exit_code == 0
        assert f"Examples:\n  servegraph {command}" in done.stdout


def test_the_version_is_printed(run):
    from servegraph import __version__

    assert run("version").stdout.startswith(f"servegraph {__version__} (Python 3.")
