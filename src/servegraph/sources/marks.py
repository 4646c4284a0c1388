"""The comments that say which code belongs to a function: ``# mlrun: start-code``, ``end-code`` and ``ignore``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Sequence
from typing import Final

from servegraph.errors import GraphError
from servegraph.sources.cells import Cell, python_of

IGNORED_TAGS: Final = frozenset({"mlrun-ignore", "nuclio-ignore"})
"""Tags of notebook cells that belong to no function."""

_MARK: Final = re.compile(
    r"^[ \t]*#[ \t]*(?:mlrun|nuclio):[ \t]*(?P<kind>start-code|end-code|ignore)\b[ \t]*(?P<name>[\w.-]*)[ \t]*$"
)


def marks_in(cell: Cell) -> set[str]:
    """Return which of the marks ``start-code`` and ``end-code`` a cell has."""
    return {mark[0] for mark in _marks(cell).values()} & {"start-code", "end-code"}


def unignored(cells: Sequence[Cell], ignored_tags: Collection[str] = IGNORED_TAGS) -> list[Cell]:
    """Return the cells without those that a tag or an ``ignore`` mark takes out."""
    return [cell for cell in cells if not cell.tags & set(ignored_tags) and not _is_ignored(cell)]


def marked_code(
    cells: Sequence[Cell],
    name: str = "",
    ignored_tags: Collection[str] = IGNORED_TAGS,
    *,
    repeats: bool = False,
) -> str:
    """Return the code of the function called ``name``: what stands between its marks, or everything without marks.

    A mark with a name counts only for the function of that name. ``end-code`` without a start keeps all before it.
    ``repeats`` allows the same mark twice in a row, as in a history where a cell was run again.
    Raises GraphError for marks that contradict each other.
    """
    regions = _Regions(name, repeats)
    for cell in unignored(cells, ignored_tags):
        regions.add(cell)
    return regions.code()


def _marks(cell: Cell) -> dict[int, tuple[str, str]]:
    """Return the kind and the name of each mark of a cell by the number of its line, from 0."""
    lines = cell.source.splitlines()
    found = {
        number: (mark["kind"], mark["name"])
        for number, line in enumerate(lines)
        if (mark := _MARK.match(line)) is not None
    }
    comments = _comment_lines(cell) if found else set()
    return {number: mark for number, mark in found.items() if number in comments}


def _comment_lines(cell: Cell) -> set[int]:
    # A text of several lines may hold what looks like a mark.
    try:
        tokens = tokenize.generate_tokens(io.StringIO(python_of(cell)).readline)
        return {token.start[0] - 1 for token in tokens if token.type == tokenize.COMMENT}
    except (GraphError, tokenize.TokenError, SyntaxError):
        return set(range(len(cell.source.splitlines())))


def _is_ignored(cell: Cell) -> bool:
    return any(kind == "ignore" for kind, _ in _marks(cell).values())


def _same_name(one: str, other: str) -> bool:
    return one.lower().replace("_", "-") == other.lower().replace("_", "-")


class _Regions:
    """Collects lines while inside a region, cell by cell."""

    def __init__(self, name: str, repeats: bool) -> None:
        self._name = name
        self._repeats = repeats
        self._kept: list[str] = []
        self._last = ""

    def add(self, cell: Cell) -> None:
        lines: list[str] = []
        opening = ""  # the first mark of all, where it stands in this cell
        marks = _marks(cell)
        for number, line in enumerate(cell.source.splitlines()):
            kind = self._kind(*marks.get(number, ("", "")))
            if kind and kind == self._last and not self._repeats:
                raise GraphError(f"{cell.where}: two '{kind}' marks follow each other", code="marks")
            if kind == "start-code":
                if opening == "end-code":
                    raise GraphError(f"{cell.where}: 'end-code' stands before 'start-code'", code="marks")
                if not self._last:
                    self._kept, lines = [], []
            elif not kind and self._last != "end-code":
                lines.append(line)
            opening = opening or ("" if self._last else kind)
            self._last = kind or self._last
        self._kept.append(python_of(Cell("\n".join(lines), cell.where)))

    def _kind(self, kind: str, name: str) -> str:
        return kind if not name or _same_name(name, self._name) else ""

    def code(self) -> str:
        return "\n\n".join(text.strip("\n") for text in self._kept if text.strip()) + "\n"
