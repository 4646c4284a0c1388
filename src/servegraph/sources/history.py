"""The marked code of a notebook that is running, where cells are run again and out of order."""

from __future__ import annotations

from collections.abc import Sequence

from servegraph.sources.cells import Cell, python_of
from servegraph.sources.marks import marked_code, marks_in
from servegraph.sources.script import parse_script


def marked_history(cells: Sequence[Cell], name: str) -> str:
    """Return the marked code as it is now: a definition that was run again after the marks replaces the earlier one.

    In a history the same mark may come twice in a row, for a cell that was run twice. Raises GraphError.
    """
    code = marked_code(cells, name, repeats=True)
    binding = parse_script(code, "the marked code").binding
    last = max(number for number, cell in enumerate(cells) if marks_in(cell))
    again = [
        statement.text
        for cell in cells[last + 1 :]
        for statement in parse_script(python_of(cell), cell.where).statements
        if any(name in binding for name in statement.binds)
    ]
    return "\n\n".join([code, *again])
