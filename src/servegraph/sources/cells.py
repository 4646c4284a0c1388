"""Code in cells: those of a notebook file, of a script (parted by ``# %%``) and of the notebook that is running."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from servegraph.errors import GraphError


@dataclass(frozen=True, slots=True)
class Cell:
    """One piece of code: its text, where it stands (for messages) and the tags its author gave it."""

    source: str
    where: str
    tags: frozenset[str] = frozenset()


def read_cells(path: Path) -> list[Cell]:
    """Read the code cells of a ``.ipynb`` or ``.py`` file; raises OSError, GraphError for a broken notebook."""
    text = path.read_text(encoding="utf-8")
    return notebook_cells(text, path.name) if path.suffix == ".ipynb" else script_cells(text, path.name)


def notebook_cells(text: str, where: str) -> list[Cell]:
    """Return the code cells of a notebook's JSON text, in order."""
    try:
        book = msgspec.json.decode(text)
        return [_notebook_cell(cell, f"{where}, cell {number}") for number, cell in _code_cells(book)]
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError) as error:
        raise GraphError(f"{where} is not a notebook: {error}", code="source") from error


def _code_cells(book: Any) -> list[tuple[int, dict[str, Any]]]:
    # Notebooks of the third format, still found in archives, keep their cells in worksheets and call the text input.
    cells = book["cells"] if "cells" in book else [cell for sheet in book["worksheets"] for cell in sheet["cells"]]
    return [(number, cell) for number, cell in enumerate(cells, 1) if cell.get("cell_type") == "code"]


def _notebook_cell(cell: dict[str, Any], where: str) -> Cell:
    source = cell["source"] if "source" in cell else cell["input"]
    text = source if isinstance(source, str) else "".join(source)
    return Cell(text, where, frozenset(cell.get("metadata", {}).get("tags", ())))


_BORDER: Final = re.compile(r"^# ?%%.*$", re.MULTILINE)


def script_cells(text: str, where: str) -> list[Cell]:
    """Return the parts of a script between ``# %%`` lines; a script without them is one cell."""
    return [Cell(part, where) for part in _BORDER.split(text)]


def running_cells() -> list[Cell]:
    """Return what was run so far in the notebook or IPython shell this process is, oldest first; nothing elsewhere."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return []
    history: Sequence[str] = shell.history_manager.input_hist_raw
    cells = [Cell(text, f"In [{number}]") for number, text in enumerate(history) if text.strip()]
    return [cell for cell in cells if _is_python(cell)]


def _is_python(cell: Cell) -> bool:
    # What could not be parsed has not run either.
    try:
        python_of(cell)
    except GraphError:
        return False
    return True


# Cell magics whose body is Python that belongs to the notebook's own namespace.
_PYTHON_MAGICS: Final = frozenset({"time", "capture", "prun"})


def python_of(cell: Cell) -> str:
    """Return a cell's Python: lines that start with ``%`` or ``!`` become ``pass``, cells in other languages nothing.

    Raises GraphError where something else is no Python.
    """
    lines = cell.source.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%"):
        magic = first[2:].split()[0] if first[2:].split() else ""
        if magic not in _PYTHON_MAGICS:
            return ""
        lines[lines.index(first)] = ""
    return "\n".join(_without_magics(lines, cell.where))


def _without_magics(lines: list[str], where: str) -> list[str]:
    # Only the parser knows whether a line that starts with % is a magic or goes on with the line before it.
    for _ in range(len(lines) + 1):
        try:
            ast.parse("\n".join(lines))
            break
        except SyntaxError as error:
            number = (error.lineno or 1) - 1
            line = lines[number] if number < len(lines) else ""
            if not line.lstrip().startswith(("%", "!")):
                raise GraphError(f"{where}, line {number + 1}: {error.msg}: {line.strip()}", code="source") from error
            indent, magic = line[: len(line) - len(line.lstrip())], line.strip()
            # What %time measures is a statement of the notebook like any other.
            lines[number] = indent + (magic.removeprefix("%time ") if magic.startswith("%time ") else "pass")
    return lines
