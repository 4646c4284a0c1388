"""Every example runs as a program of its own and prints what its docstring says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("[0-9][0-9]_*.py"))
MAX_LINES = 40
# The one line that a server logs for each event that failed or was refused.
LOGGED = re.compile(r"event [0-9a-f]{32} (was refused|failed)")

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)


def test_examples_are_numbered_without_a_gap():
    assert [int(example.stem[:2]) for example in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))


@every_example
def test_example_is_short(example):
    """Blank lines do not count: they make it easier to read, not longer."""
    assert len([line for line in example.read_text().splitlines() if line.strip()]) <= MAX_LINES


@every_example
def test_example_prints_what_it_says(example, tmp_path):
    docstring = ast.get_docstring(ast.parse(example.read_text())) or ""
    promised = re.search(r"^Prints:\n(.+)\Z", docstring, re.MULTILINE | re.DOTALL)
    assert promised, "an example's docstring ends with what it prints"
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [line[4:] for line in promised[1].splitlines()]
    assert [line for line in done.stderr.splitlines() if not LOGGED.match(line)] == []
