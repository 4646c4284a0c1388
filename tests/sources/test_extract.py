import textwrap

import pytest

from servegraph.sources.extract import extract
from servegraph.sources.script import free_names, parse_script

SCRIPT = '''
"""A script."""
from __future__ import annotations
import os, json
import numpy as np
from math import *
try:
    import fast
except ImportError:
    fast = None

RATE = 2; LIMIT = 3
TABLE = {}
TABLE["x"] = RATE
TABLE.update(y=1)

def helper(x):
    return np.sqrt(x) * LIMIT

class Base:
    def do(self, x):
        return helper(x)

@staticmethod
def decorated(): return fast

class Step(Base):
    names = [each for each in TABLE]

    def do(self, x):
        unused = os
        return floor(super().do(x))

fn = object()
def about(): return fn
print(Step)
if __name__ == "__main__":
    late = 1
def counts():
    global total
    total = 1
'''


def carried(name, values=None, refuse=lambda value: ""):
    return extract(parse_script(SCRIPT, "script.py", "pkg"), [(name, "s")], values or {}, refuse)


def test_a_class_is_carried_with_all_that_it_needs_and_nothing_else():
    import math

    assert math
    found = carried("Step")
    assert not found.faults
    code = found.code()
    for needed in (
        "from __future__ import annotations",
        "import os, json",
        "import numpy as np",
        "from math import *",
        "RATE = 2",
        "LIMIT = 3",
        'TABLE["x"] = RATE',
        "def helper",
        "class Base",
    ):
        assert needed in code
    for other in ("print(", "fn = ", "__main__", "TABLE.update", "decorated", "fast"):
        assert other not in code
    space = {}
    exec(code, space)
    assert space["Step"]().do(4) == 6


def test_compound_imports_and_decorators_are_carried_whole():
    code = carried("decorated").code()
    assert "@staticmethod\ndef decorated" in code
    assert "except ImportError" in code


def test_a_call_that_is_left_behind_is_told():
    (warning,) = carried("Step").warnings
    assert "line 15: 'TABLE.update(y=1)' is a call and is not carried with 'TABLE'" in warning


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("late", "only defined under 'if __name__ == ...'"),
        ("helpr", "nothing in script.py defines 'helpr'; did you mean 'helper'?"),
        ("about", "the code needs 'fn' (script.py, line 34): it is a definition"),
    ],
)
def test_what_cannot_be_carried_is_said_with_its_step(name, message):
    refuse = lambda value: "it is a definition" if value == "fn" else ""  # noqa: E731
    (fault,) = carried(name, {"fn": "fn"}, refuse).faults
    assert fault.step == "s"
    assert message in fault.message


def test_globals_that_a_function_declares_are_bound_by_it():
    assert "def counts" in carried("total").code()


def test_relative_imports_are_written_out():
    script = parse_script("from . import a\nfrom .b import c as d\nfrom ..e import f\n", "x.py", "pkg.sub")
    assert [each.text for each in script.statements] == [
        "from pkg.sub import a",
        "from pkg.sub.b import c as d",
        "from pkg.e import f",
    ]


def test_free_names_are_those_of_the_globals():
    code = """
    def f(a, b=outer):
        c = a + used
        def g(): return c + inner
        return [each for each in g()]
    """
    assert free_names(textwrap.dedent(code)) == {"outer", "used", "inner"}
