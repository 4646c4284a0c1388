"""Writes the tables of docs/errors.md by provoking every failure: ``python -m tests.failures.write``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.failures import request_cases, wire_cases
from tests.failures.definition_cases import DEFINITIONS, anywhere, by_json, by_python
from tests.failures.doors import Answer, over_mock
from tests.failures.folder import folder_of_code
from tests.failures.request_cases import FLOW_CASES, ROUTER_CASES, Case
from tests.failures.start_cases import STARTS, by_mock, port_taken
from tests.failures.wire_cases import WIRE_CASES

PAGE = Path(__file__).parent.parent.parent / "docs" / "errors.md"
MARKS = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ANSWERED = ("what happens", "status", "type", "step", "error")
FAULTY = ("what is wrong", "step", "code", "message")

# What other packages say changes from one release of theirs to the next.
FOREIGN = re.compile(r"(is not valid JSON: |not a valid HTTP request: |cannot open 'tape:[^']*': ).*?(?= at line|$)")

Row = tuple[str, ...]


def page_with_tables(text: str) -> str:
    """Return the page with every table made anew."""
    return MARKS.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", text)


def models() -> str:
    """Return the table of what a model router and its models answer."""
    return _table(ANSWERED, map(_asked, ROUTER_CASES))


def steps() -> str:
    """Return the table of what any other graph answers."""
    return _table(ANSWERED, map(_asked, FLOW_CASES))


def wire() -> str:
    """Return the table of what only HTTP answers."""
    return _table(ANSWERED, [_answered(case.name, wire_cases.provoke(case)) for case in WIRE_CASES])


def definitions() -> str:
    """Return the table of what is found before anything is built."""
    rows: list[Row] = []
    with folder_of_code() as folder:
        for case in DEFINITIONS:
            found = by_python(case, folder) if case.python else by_json(case, folder)
            rows += [_faulty(case.name, each["step"], each["code"], each["message"]) for each in found]
    return _table(FAULTY, rows)


def starts() -> str:
    """Return the table of what is found when steps are built and models loaded."""
    rows: list[Row] = []
    with folder_of_code() as folder:
        for case in STARTS:
            for fault in by_mock(case):
                message = fault.message.replace(str(folder), "/srv/app")
                rows.append(_faulty(case.name, fault.step, fault.code, message))
        rows.append(_faulty("the port is taken", "", "", port_taken(folder)[1]))
    return _table(FAULTY, rows)


TABLES: dict[str, Callable[[], str]] = {
    "models": models,
    "steps": steps,
    "wire": wire,
    "definitions": definitions,
    "starts": starts,
}


def _asked(case: Case) -> Row:
    return _answered(case.name, request_cases.provoke(case, over_mock, "async"))


def _answered(name: str, answer: Answer) -> Row:
    body: dict[str, Any] = answer.body or {}
    again = f", again after {answer.retry_after} s" if answer.retry_after else ""
    told = _plain(anywhere(body["error"])) if body else "(no body)"
    if body and "type" not in body:
        told = _code(json.dumps(body))
    return name, f"{answer.status}{again}", _code(body.get("type")), _code(body.get("step")), told


def _faulty(name: str, step: str, code: str, message: str) -> Row:
    return name, _code(step), _code(code), _plain(message)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, without what is not our own."""
    return re.sub(r"(\*|<|__)", r"\\\1", FOREIGN.sub(r"\1...", text))


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _table(head: Row, rows: Iterable[Row]) -> str:
    """Return a table; where a row has the name of the one before it, the name is left out."""
    lines = [head, ("---",) * len(head)]
    before = ""
    for name, *cells in rows:
        lines.append(("" if name == before else name, *cells))
        before = name
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main() -> None:
    """Bring the page up to date."""
    logging.disable()
    PAGE.write_text(page_with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
