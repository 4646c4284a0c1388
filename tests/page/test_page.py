"""The page's snippets run word for word, but for the replacements of sections.py, and print what the page prints."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.page.sections import MODEL_URL, SECTIONS, SNIPPETS, all_cells
from tests.page.session import Session

# The page's model class leaves the file that it loads open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

NOTEBOOK = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
for cell in json.load(open("page.json")):
    shell.run_cell(cell, store_history=True).raise_error()
"""


@pytest.fixture
def page(page_model_url, tmp_path, monkeypatch):
    """The whole page after it ran in one namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with Session() as session:
        yield session, page_model_url


def run_section(session: Session, folder: str, model_url: str) -> None:
    """Run the page up to the end of a section."""
    for section in SECTIONS:
        for cell in section.cells(model_url):
            session.run(cell)
        if section.folder == folder:
            return


def test_every_snippet_belongs_to_a_section():
    listed = [snippet for section in SECTIONS for snippet in section.snippets()]
    assert listed == sorted(SNIPPETS.rglob("*.py"))
    assert all(section.snippets() for section in SECTIONS)


def test_every_replacement_is_needed():
    kept = "".join(snippet.read_text() for section in SECTIONS for snippet in section.snippets())
    assert "import mlrun\n" in kept
    assert MODEL_URL in kept
    for section in SECTIONS:
        texts = "".join(snippet.read_text() for snippet in section.snippets())
        assert all(old in texts for old, _ in section.slips)


def test_router_section_prints_the_answer_that_the_page_prints(page, page_answers, capsys):
    session, model_url = page
    run_section(session, "2_router", model_url)
    assert session["result"]["model_name"] == "model1"
    assert session["result"]["outputs"] == page_answers
    assert session["result"]["id"]
    printed = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])
    assert printed["outputs"] == page_answers


def test_flow_section_answers_with_the_model_and_hands_the_side_branch_to_its_error_handler(page, page_answers):
    session, model_url = page
    run_section(session, "3_flow", model_url)
    assert session["result"]["model_name"] == "m1"
    assert session["result"]["outputs"] == page_answers
    assert session["handled"] == [("pre-process", "pre-process failed")]


def test_the_page_runs_as_a_script(page_model_url, page_answers, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(all_cells(page_model_url)))
    assert outputs_printed_by([sys.executable, str(script)], tmp_path) == [page_answers, page_answers]


def test_the_page_runs_as_a_notebook(page_model_url, page_answers, tmp_path):
    (tmp_path / "page.json").write_text(json.dumps(all_cells(page_model_url)))
    assert outputs_printed_by([sys.executable, "-c", NOTEBOOK], tmp_path) == [page_answers, page_answers]


def outputs_printed_by(command: list[str], folder: Path) -> list[list[int]]:
    """Run a program that prints answers and return their outputs."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("{'id'")]
    return [answer["outputs"] for answer in answers]
