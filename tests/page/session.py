"""Runs cells as a notebook does: one after the other, in one namespace."""

import linecache
import sys
from types import ModuleType
from typing import Any


class Session:
    """A module that grows cell by cell; its source can be read as a notebook's can."""

    def __init__(self, name: str = "page_session") -> None:
        self.module = ModuleType(name)
        self._cells = 0

    def __enter__(self) -> "Session":
        sys.modules[self.module.__name__] = self.module
        return self

    def __exit__(self, *_: object) -> None:
        del sys.modules[self.module.__name__]

    def __getitem__(self, name: str) -> Any:
        return vars(self.module)[name]

    def run(self, cell: str) -> None:
        self._cells += 1
        name = f"<{self.module.__name__} {self._cells}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), vars(self.module))
