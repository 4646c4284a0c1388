import json
import logging
import subprocess
import sys
import textwrap

import pytest

from servegraph.errors import GraphError
from servegraph.function import new_function
from servegraph.project import Project, get_or_create_project, load_project, new_project

CODE = "def step(body):\n    return body + 1\n"


def step(body):
    return body * 2


@pytest.fixture
def project(tmp_path):
    return get_or_create_project("demo", tmp_path)


def asked(function, body=1):
    if function.spec.graph is None:
        function.set_topology("flow").to(name="s", handler="step").respond()
    with function.to_mock_server() as server:
        return server.test("/", body)


# The folder


def test_a_project_is_one_file_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = get_or_create_project("My_Project")
    assert project.name == "my-project"
    assert [path.name for path in tmp_path.iterdir()] == ["project.yaml"]
    assert get_or_create_project("my-project").to_dict() == project.to_dict()


def test_nothing_is_written_without_save(tmp_path):
    get_or_create_project("demo", tmp_path / "new", save=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_project_is_left_alone(project, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "servegraph"):
        other = get_or_create_project("other", tmp_path)
    assert "belongs to project 'demo'; give 'other' one of its own with context=" in caplog.text
    with pytest.raises(GraphError, match="belongs to project 'demo'"):
        other.save()
    assert load_project(tmp_path).name == "demo"
    assert get_or_create_project("other", tmp_path, allow_cross_project=True).name == "demo"


def test_a_new_project_replaces_none_unasked(project, tmp_path):
    with pytest.raises(GraphError, match="is there already"):
        new_project("demo", tmp_path)
    assert new_project("fresh", tmp_path, "about it", overwrite=True).description == "about it"
    assert load_project(tmp_path).description == "about it"


def test_loading_says_what_is_missing_or_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no 'project\.yaml' in"):
        load_project(tmp_path)
    (tmp_path / "project.yaml").write_text("kind: serving")
    with pytest.raises(GraphError, match="is no project"):
        load_project(tmp_path)


def test_the_setup_script_runs_only_when_asked(tmp_path):
    (tmp_path / "project_setup.py").write_text(
        "def setup(project):\n    project.params['set'] = 'up'\n    return project\n"
    )
    assert get_or_create_project("demo", tmp_path).params == {}
    assert get_or_create_project("demo", tmp_path, run_setup=True).params == {"set": "up"}


def test_what_needs_a_repository_is_refused(tmp_path):
    with pytest.raises(GraphError, match=r"cannot take url, clone: .*git clone"):
        get_or_create_project("demo", tmp_path, url="git://x", clone=True)


# Forms of functions


@pytest.fixture
def files(tmp_path):
    (tmp_path / "steps.py").write_text(CODE)
    (tmp_path / "book.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": CODE}]}))
    function = new_function("described").with_code(body=CODE)
    function.export(tmp_path / "function.yaml")
    function.export(tmp_path / "function.json")
    (tmp_path / "sg_pkg").mkdir()
    (tmp_path / "sg_pkg" / "__init__.py").touch()
    (tmp_path / "sg_pkg" / "inner.py").write_text(CODE)
    return tmp_path


@pytest.mark.parametrize("source", ["steps.py", "./steps.py", "book.ipynb", "function.yaml", "function.json"])
def test_files_are_looked_for_in_the_projects_folder(project, files, source):
    function = project.set_function(source, name="f", kind="serving", image="i", requirements=["sklearn"])
    assert asked(function) == 2
    assert (function.metadata.name, function.metadata.project, function.spec.image) == ("f", "demo", "i")
    assert function.spec.build.requirements == ["scikit-learn"]


def test_urls_are_imported(project, files):
    assert asked(project.set_function((files / "function.yaml").as_uri(), name="f")) == 2
    with pytest.raises(GraphError, match="kept by an MLRun service"):
        project.set_function("hub://thing", name="f")


def test_a_module_of_the_project_is_imported_when_it_is_served(project, files, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    function = project.set_function("sg_pkg.inner", name="f", handler="step", with_repo=True)
    assert asked(function) == 2


def test_a_name_alone_takes_its_code_from_where_it_is_defined(project):
    assert asked(project.set_function(name="named", kind="serving", image="mlrun/mlrun"), 4) == 8
    assert asked(project.set_function("lone_word", kind="serving"), 4) == 8
    assert project.function_names() == ["named", "lone-word"]


def test_a_function_object_is_kept_as_it_is(project):
    function = new_function("mine", tag="v1")
    assert project.set_function(function) is function
    assert project.get_function("mine", tag="v1") is function
    assert project.get_function("mine:v1") is function
    with pytest.raises(GraphError, match="has the tag 'v1', which tag='v2' contradicts"):
        project.set_function(function, tag="v2")


def test_a_known_name_is_replaced(project):
    project.set_function("f").set_topology("flow")
    again = project.set_function("f")
    assert again.spec.graph is None
    assert project.list_functions() == [again]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "a function needs a name"),
        ({"func": 3}, "func is a function, a path, a URL or a module, not int"),
        ({"func": "x", "kind": "job"}, "kind 'serving' only"),
        ({"func": "x", "handler": "h"}, "handler= is for a dotted module only"),
        ({"func": new_function("x"), "handler": "h"}, "comes with its graph"),
        ({"func": "some/folder"}, "no .py, .ipynb, .yaml or .json file, URL or dotted module"),
        ({"func": "x.txt/"}, "no .py, .ipynb"),
    ],
)
def test_other_forms_are_refused(project, arguments, message):
    with pytest.raises(ValueError, match=message):
        project.set_function(**arguments)


def test_a_missing_file_is_said(project):
    with pytest.raises(FileNotFoundError, match=r"no file 'gone\.py'|no file .*gone\.py"):
        project.set_function("gone.py", name="f")


def test_an_unknown_function_is_said_with_the_nearest(project):
    with pytest.raises(GraphError, match="it has none yet"):
        project.get_function("x")
    project.set_function("enrich")
    with pytest.raises(GraphError, match="no function 'enrih', there are: enrich; did you mean 'enrich'"):
        project.get_function("enrih")
    with pytest.raises(GraphError, match="did you mean 'enrich'"):
        project.remove_function("enrih")
    project.remove_function("enrich")
    assert project.function_names() == []


def test_a_copy_is_given_when_asked(project):
    function = project.set_function("f")
    assert project.get_function("f", copy_function=True) is not function


# Saving


def test_saved_functions_come_back_with_their_code(project, files):
    asked(project.set_function("steps.py", name="from-file"))
    asked(project.set_function("from-here"))
    project.params["a"] = 1
    project.save()
    program = """
        from servegraph.project import load_project
        project = load_project()
        answers = []
        for function in project.list_functions():
            with function.to_mock_server() as server:
                answers.append(server.test("/", 5))
        print(project.params, project.function_names(), answers)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, cwd=files, timeout=60
    )
    assert done.stdout.strip() == "{'a': 1} ['from-file', 'from-here'] [6, 10]", done.stderr


def test_a_file_of_the_project_stays_the_source_of_truth(project, files):
    asked(project.set_function("steps.py", name="f"))
    text = project.save().read_text()
    assert "url: steps.py" in text
    assert "return body" not in text
    (files / "steps.py").write_text(CODE.replace("+ 1", "+ 100"))
    assert asked(load_project(files).get_function("f")) == 101


def test_saving_again_keeps_functions_nobody_asked_for(project, files):
    asked(project.set_function("steps.py", name="f"))
    before = project.save().read_text()
    assert load_project(files).save().read_text() == before


def test_a_function_is_read_again_when_asked(project):
    function = project.set_function("f")
    asked(function)
    project.save()
    function.graph.add_step(name="more", handler="step", after="s")
    assert list(project.get_function("f").graph.steps) == ["s", "more"]
    assert list(project.get_function("f", ignore_cache=True).graph.steps) == ["s"]


def test_code_that_cannot_be_carried_leaves_the_file_as_it_was(project, tmp_path):
    before = (tmp_path / "project.yaml").read_text()
    local = 1
    graph = project.set_function("f").set_topology("flow")
    graph.to(lambda body: body + local, name="a").to(lambda body: local, name="b").respond()
    with pytest.raises(GraphError, match="the graph has 2 faults") as caught:
        project.save()
    assert "function 'f': 'lambda' cannot be carried: it uses 'local'" in str(caught.value)
    assert (tmp_path / "project.yaml").read_text() == before


def test_functions_written_by_hand_are_read(tmp_path):
    (tmp_path / "steps.py").write_text(CODE)
    (tmp_path / "project.yaml").write_text(
        "kind: project\nmetadata: {name: demo}\nspec: {functions: [{url: steps.py, name: f, kind: serving}]}"
    )
    assert asked(get_or_create_project("demo", tmp_path).get_function("f")) == 2


def test_a_project_shows_itself(project):
    assert repr(Project("x")) == "Project(name='x', context='.', functions=[])"
