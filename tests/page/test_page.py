"""The page's snippets run word for word, but for the replacements of sections.py, and print what the page prints."""

import ast
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from tests.page.sections import IMPORTS, MODEL_URL, SECTIONS, SNIPPETS, all_cells
from tests.page.session import Session

from servegraph.events import Event
from servegraph.serve.server import Server

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
def page(page_model_url, page_folder, monkeypatch):
    """A session to run the page in, in a folder that only holds the model."""
    monkeypatch.chdir(page_folder)
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
    assert all(old in kept for old, _ in IMPORTS)
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


def test_rejoin_section_makes_ten_rows_of_five(page):
    session, model_url = page
    run_section(session, "8_split_and_rejoin", model_url)
    rows = []
    session["graph"].add_step(name="rows", handler=rows.append, after="Gather")
    with session["fn"].to_mock_server() as server:
        for row in range(5):
            server.test(body=row)
    assert sorted(rows) == sorted([2 * row + 2 for row in range(5)] + [2 * row + 3 for row in range(5)])


def test_concurrent_section_predicts_in_processes(page, page_answers, capfd, caplog):
    session, model_url = page
    run_section(session, "9_concurrent_processing", model_url)
    answers = []
    session["graph"].add_step(name="answers", handler=answers.append, after="postprocess")
    with caplog.at_level("INFO", "servegraph"), session["function"].to_mock_server() as server:
        receipt = server.test(body={"inputs": load_iris()["data"].tolist()})
        server.wait_for_completion()
    assert set(receipt) == {"id"}
    assert answers == [page_answers]
    assert capfd.readouterr().out.splitlines()[-1] == "predicting..."
    assert [each for each in caplog.messages if each.endswith("processing...")] == [
        "preprocessing...",
        "postprocessing...",
    ]


def test_concurrent_section_answers_a_hundred_requests_in_order(page, page_answers):
    session, model_url = page
    run_section(session, "9_concurrent_processing", model_url)
    session.run('graph = function.set_topology("flow", engine="async", exist_ok=True)')
    *_, graph = SECTIONS[-1].cells(model_url)
    session.run(f"{graph.rstrip()}.respond()")
    rows = load_iris()["data"].tolist()[:100]
    came = asyncio.run(asked_at_once(session["function"].build_server(), [{"inputs": [row]} for row in rows]))
    assert [place for place, _ in came] == list(range(100))
    assert [body for _, body in came] == [[answer] for answer in page_answers[:100]]


async def asked_at_once(server: Server, bodies: list[Any]) -> list[tuple[int, Any]]:
    """Return the answers to requests that were all made at once, in the order in which they came."""
    came = []

    async def ask(place: int, body: Any) -> None:
        came.append((place, (await server.handle(Event(body))).body))

    await server.start()
    try:
        await asyncio.gather(*[ask(*each) for each in enumerate(bodies)])
    finally:
        await server.stop()
    return came


PREDICT = """
with function.to_mock_server() as function_server:
    function_server.test(body={"inputs": x})
"""


def test_the_page_runs_as_a_script(page_model_url, page_answers, page_folder):
    script = page_folder / "page.py"
    script.write_text("\n\n".join([*all_cells(page_model_url), PREDICT]))
    printed = printed_by([sys.executable, str(script)], page_folder)
    assert outputs_in(printed) == [page_answers, page_answers]
    assert printed.count("predicting...") == 1


def test_the_page_runs_as_a_notebook(page_model_url, page_answers, page_folder):
    (page_folder / "page.json").write_text(json.dumps([*all_cells(page_model_url), PREDICT]))
    printed = printed_by([sys.executable, "-c", NOTEBOOK], page_folder)
    assert outputs_in(printed) == [page_answers, page_answers]
    assert printed.count("predicting...") == 1


def printed_by(command: list[str], folder: Path) -> list[str]:
    """Run a program and return the lines that it prints."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def outputs_in(printed: list[str]) -> list[list[int]]:
    """Return the outputs of the answers among what was printed."""
    answers = [ast.literal_eval(line) for line in printed if line.startswith("{'id'")]
    return [answer["outputs"] for answer in answers]
