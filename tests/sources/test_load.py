import json
import subprocess
import sys
import textwrap
import traceback

import pytest

from servegraph.errors import GraphError
from servegraph.sources.load import load_code, load_file, read_code


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return path


def notebook(path, *sources):
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]}))
    return path


def test_a_file_is_loaded_once_until_it_changes(tmp_path):
    path = write(tmp_path / "sg_once.py", "items = []")
    module = load_file(path)
    assert load_file(path) is module
    write(path, "items = [1]")
    assert load_file(path).items == [1]


def test_a_module_is_not_main_and_is_found_by_pickle_and_import(tmp_path):
    module = load_file(write(tmp_path / "sg_named.py", "class A: pass\nhere = __name__"))
    assert module.here == "sg_named"
    assert sys.modules[module.A.__module__] is module


def test_a_file_called_like_another_module_does_not_take_its_place(tmp_path):
    module = load_file(write(tmp_path / "json.py", "x = 1"))
    assert module.__name__ == "json_2"
    assert sys.modules["json"] is json


def test_modules_beside_the_file_can_be_imported(tmp_path):
    write(tmp_path / "sg_neighbour.py", "y = 2")
    assert load_file(write(tmp_path / "sg_imports.py", "from sg_neighbour import y")).y == 2


def test_a_file_that_loads_itself_is_loaded_once(tmp_path):
    path = write(
        tmp_path / "sg_self.py",
        """
        from servegraph.sources.load import load_file
        again = load_file(__file__)
        """,
    )
    module = load_file(path)
    assert module.again is module


def test_the_running_program_is_its_own_module(tmp_path):
    path = write(
        tmp_path / "program.py",
        """
        from servegraph.sources.load import load_file
        count = globals().get("count", 0) + 1
        assert load_file(__file__).__name__ == "__main__"
        print(count)
        """,
    )
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_a_whole_notebook_runs_but_for_ignored_cells(tmp_path):
    path = notebook(tmp_path / "sg_book.ipynb", "%pip install x\na = 1", "# mlrun: ignore\na = 2", "b = a")
    assert load_file(path).b == 1


def test_code_of_a_notebook_is_what_is_marked_and_code_of_a_script_is_all(tmp_path):
    book = notebook(tmp_path / "nb.ipynb", "a = 1", "# mlrun: start-code\nb = 2\n# mlrun: end-code\nc = 3")
    assert read_code(book) == "b = 2\n"
    script = write(tmp_path / "s.py", "a = 1\n# mlrun: start-code\nb = 2\n")
    assert "a = 1" in read_code(script)


def test_what_goes_wrong_is_said_with_file_and_line(tmp_path):
    path = write(tmp_path / "sg_broken.py", "x = 1\n\ny = nothing\n")
    with pytest.raises(GraphError, match=r"sg_broken\.py, line 3: NameError: name 'nothing' is not defined") as caught:
        load_file(path)
    assert isinstance(caught.value.__cause__, NameError)
    assert "sg_broken" not in sys.modules


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = (", r"bad\.py, line 1: SyntaxError"), ("import sys; sys.exit(3)", r"bad\.py, line 1: SystemExit: 3")],
)
def test_syntax_errors_and_exits_are_said_too(tmp_path, text, message):
    with pytest.raises(GraphError, match=message):
        load_file(write(tmp_path / "bad.py", text))


def test_faults_of_a_graph_pass_through_with_the_line_as_a_note(tmp_path):
    path = write(
        tmp_path / "sg_faulty.py",
        """
        import servegraph
        servegraph.new_function("x").set_topology("rooter")
        """,
    )
    with pytest.raises(GraphError, match="unsupported topology 'rooter'") as caught:
        load_file(path)
    assert caught.value.__notes__ == ["in sg_faulty.py, line 3"]


def test_tracebacks_show_lines_of_code_that_stands_in_no_file():
    module = load_code("def f():\n    return 1 / 0  # here\n", "sg-textual")
    try:
        module.f()
    except ZeroDivisionError:
        shown = traceback.format_exc()
    assert "return 1 / 0  # here" in shown


def test_a_missing_file_is_said_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.py.*looked in"):
        load_file(tmp_path / "gone.py")
