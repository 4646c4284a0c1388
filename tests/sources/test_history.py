import subprocess
import sys
import textwrap

from servegraph.sources.cells import Cell
from servegraph.sources.history import marked_history


def run_cells(*cells):
    """Run cells in a real IPython shell of its own and return what they print."""
    program = """
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance(history_length=0)
        shell.history_manager.enabled = True
        for cell in sys.stdin.read().split("\\x1e"):
            shell.run_cell(cell, store_history=True)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        input="\x1e".join(textwrap.dedent(cell).strip() for cell in cells),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_a_definition_that_is_run_again_after_the_marks_replaces_the_earlier_one():
    sources = [
        "# mlrun: start-code",
        "def f(): return 1",
        "# mlrun: end-code",
        "print(f())",
        "def f(): return 2\ndef g(): return 3\nf()",
    ]
    code = marked_history([Cell(source, f"In [{n}]") for n, source in enumerate(sources, 1)], "x")
    space = {}
    exec(code, space)
    assert space["f"]() == 2
    assert "g" not in space
    assert "print" not in code


def test_a_notebook_exports_its_latest_definitions_and_none_of_its_calls():
    out = run_cells(
        "import servegraph\nOFFSET = 1",
        "def step(x): return x + OFFSET",
        "this is no python",
        "%time OFFSET = 10",
        "def step(x): return x + 2 * OFFSET",
        """
        fn = servegraph.new_function("nb")
        fn.set_topology("flow").to(name="s", handler="step").respond()
        print("answer", fn.to_mock_server().test("/", 1))
        print(fn.exported()["spec"]["build"]["code"])
        """,
    )
    assert "answer 21" in out
    code = out.partition("answer 21")[2]
    assert code.index("OFFSET = 1\n") < code.index("OFFSET = 10\n")
    assert code.index("x + OFFSET") < code.index("x + 2 * OFFSET")
    assert "to_mock_server" not in code
    assert "new_function" not in code


def test_the_marks_of_a_running_notebook_say_what_is_exported():
    out = run_cells(
        "secret = 'not carried'",
        "# mlrun: start-code\nimport math\ndef step(x): return math.floor(x)\n# mlrun: end-code",
        "import servegraph\nfn = servegraph.new_function('nb')",
        "fn.set_topology('flow').to(name='s', handler='step').respond()",
        "print('code:', fn.exported()['spec']['build']['code'])",
    )
    assert out.split("code:")[1].split() == ["import", "math", "def", "step(x):", "return", "math.floor(x)"]


def test_code_to_function_takes_the_running_notebook():
    out = run_cells(
        "# mlrun: start-code\ndef step(x): return x + 1\n# mlrun: end-code",
        "import servegraph\nfn = servegraph.code_to_function('nb', kind='serving')",
        "print('code:', fn.spec.build.code)",
    )
    assert "def step(x): return x + 1" in out.split("code:")[1]
