"""The python blocks of every page run as they stand, in the page's order, in one namespace and an empty folder."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.asking import curl

HOUSE = Path(__file__).parent.parent
PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: what stands behind its fence, its code and the line it begins at."""

    info: str
    code: str
    line: int

    @property
    def is_python(self) -> bool:
        return self.info.split()[:1] == ["python"]

    @property
    def runs(self) -> bool:
        return self.is_python and "no-run" not in self.info


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found["info"].strip(), found["code"], text.count("\n", 0, found.start()) + 2)
        for found in BLOCK.finditer(text)
    ]


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))


@every_page
def test_python_blocks_run(page, tmp_path):
    """As a script of their own, so that ``__main__`` is the page, as in a notebook; lines keep their numbers."""
    lines: list[str] = []
    for block in blocks(page):
        if block.runs:
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.code.splitlines()
    if not lines:
        return
    script = tmp_path / f"{page.stem.lower().replace('-', '_')}.py"
    script.write_text("\n".join(lines) + "\n")
    folder = tmp_path / "empty"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, f"{page.name} (the line numbers are the page's):\n{done.stderr}"


@every_page
def test_python_blocks_compile(page):
    for block in blocks(page):
        if block.is_python:
            compile("\n" * (block.line - 1) + block.code, page.name, "exec")


@pytest.mark.parametrize(("page", "answer"), [("README.md", [0]), ("docs/tutorial.md", ["setosa"])])
def test_what_a_page_serves_answers_the_curl_command_beside_it(page, answer, tmp_path):
    shown = blocks(HOUSE / page)
    commands = "\n".join(block.code for block in shown if block.info == "sh").replace("\\\n", " ").splitlines()
    (serve,) = [command for command in commands if command.startswith("servegraph serve ")]
    (ask,) = [command for command in commands if command.startswith("curl ")]
    target = shlex.split(serve)[2].partition(":")[0]
    (tmp_path / target).write_text(code_of(target, shown))
    models = [block.code for block in shown if "write_bytes" in block.code]
    subprocess.run([sys.executable, "-c", "\n".join(models)], cwd=tmp_path, check=True)
    with served([*shlex.split(serve)[1:], "--port", "0"], tmp_path) as address:
        body = curl(ask, "localhost:8080", address).raise_for_status().json()
    assert (body["outputs"] if isinstance(body, dict) else body) == answer


def code_of(file: str, shown: list[Block]) -> str:
    """Return the block that opens with the file's name as a comment, else the page's first."""
    code = [block.code for block in shown if block.is_python]
    return next((each for each in code if each.startswith(f"# {file}\n")), code[0])


@contextmanager
def served(arguments: list[str], folder: Path) -> Iterator[str]:
    """Run ``servegraph`` with some arguments and give the address it says it serves on."""
    with subprocess.Popen(
        [sys.executable, "-m", "servegraph", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"http://[\w.:]+", line):
                    yield found[0]
                    break
            else:
                pytest.fail("".join(said))
        finally:
            process.terminate()
            process.communicate(timeout=60)
