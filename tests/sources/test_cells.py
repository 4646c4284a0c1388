import json

import pytest

from servegraph.errors import GraphError
from servegraph.sources.cells import Cell, notebook_cells, python_of, read_cells, script_cells


def notebook(*cells):
    return json.dumps(
        {
            "nbformat": 4,
            "cells": [
                {"cell_type": kind, "source": source, "metadata": {"tags": tags} if tags else {}}
                for kind, source, *tags in cells
            ],
        }
    )


def test_a_notebook_gives_its_code_cells_in_order(tmp_path):
    path = tmp_path / "nb.ipynb"
    path.write_text(notebook(("code", "a = 1"), ("markdown", "# b"), ("code", ["c = ", "2\n"], "slow")))
    cells = read_cells(path)
    assert [cell.source for cell in cells] == ["a = 1", "c = 2\n"]
    assert cells[1].where == "nb.ipynb, cell 3"
    assert cells[1].tags == {"slow"}


def test_a_notebook_of_the_third_format_is_read():
    text = json.dumps({"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]})
    assert [cell.source for cell in notebook_cells(text, "old.ipynb")] == ["x = 1"]


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 3}', "{}"])
def test_what_is_no_notebook_is_said_to_be_none(text):
    with pytest.raises(GraphError, match=r"nb\.ipynb is not a notebook"):
        notebook_cells(text, "nb.ipynb")


def test_a_script_is_parted_at_percent_lines():
    assert [cell.source for cell in script_cells("a\n# %% title\nb\n#%%\nc", "x.py")] == ["a\n", "\nb\n", "\nc"]


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install x\nx = 1", "pass\nx = 1"),
        ("if True:\n    !ls\nx = 1", "if True:\n    pass\nx = 1"),
        ("x = (5\n  % 3)\ny = 2", "x = (5\n  % 3)\ny = 2"),
        ("text = '''\n%not a magic\n!nor this\n'''", "text = '''\n%not a magic\n!nor this\n'''"),
        ("%%bash\nrm -rf x", ""),
        ("%%writefile echo.py\nx = 1", ""),
        ("%%time\nx = 1", "\nx = 1"),
        ("if x:\n    %time y = 1", "if x:\n    y = 1"),
        ("x = await f()", "x = await f()"),
    ],
)
def test_magics_are_dropped_and_python_is_kept(source, python):
    assert python_of(Cell(source, "cell 1")) == python


def test_other_languages_are_said_where_they_stand():
    with pytest.raises(GraphError, match=r"cell 7, line 2: .*: files = !ls"):
        python_of(Cell("x = 1\nfiles = !ls", "cell 7"))
