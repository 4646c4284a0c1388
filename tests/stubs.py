"""The type stubs of the lazy faces: what editors and type checkers read in place of a ``__getattr__``.

``python -m tests.stubs`` writes them anew; a test finds them equal to the faces' tables.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

FACES = ("servegraph", "servegraph.serving", "servegraph.storey")


def path_of(face: str) -> Path:
    """Return the file of a face's stub."""
    return Path(importlib.import_module(face).__file__ or "").with_suffix(".pyi")


def stub(names: Mapping[str, str]) -> str:
    """Return the stub of a table: name to ``"module:attribute"``, or to ``"module"`` for a module itself."""
    lines = []
    for name, where in names.items():
        module, _, attribute = where.partition(":")
        if not attribute:
            module, _, attribute = where.rpartition(".")
        if attribute == name:
            lines.append(f"from {module} import {attribute} as {name}")
        else:  # an import under another name is not offered by a stub, but a value is
            lines += [f"from {module} import {attribute} as _{name}", f"{name} = _{name}"]
    return "\n".join(sorted(lines, key=lambda line: (not line.startswith("from"), line))) + "\n"


if __name__ == "__main__":
    for each in FACES:
        path_of(each).write_text(stub(importlib.import_module(each)._NAMES))
