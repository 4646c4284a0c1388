"""Lists of packages: read from files, and cleaned of what servegraph itself brings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_OURS: Final = frozenset({"mlrun", "storey", "servegraph"})
_RENAMED: Final = {"sklearn": "scikit-learn"}
_NAME: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(.*)$", re.DOTALL)


def read_requirements(path: str | Path) -> list[str]:
    """Return the lines of a requirements file without comments and blanks."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def normalised(requirements: Iterable[str]) -> list[str]:
    """Return what is to be installed: ``mlrun`` and ``storey`` are ours, ``sklearn`` means scikit-learn, none twice."""
    found: dict[str, None] = {}
    for requirement in requirements:
        match = _NAME.match(requirement.strip())
        if match is None or match[1].lower() not in _OURS:
            found[_renamed(requirement.strip(), match)] = None
    return list(found)


def _renamed(requirement: str, match: re.Match[str] | None) -> str:
    if match is None or match[1].lower() not in _RENAMED:
        return requirement
    return _RENAMED[match[1].lower()] + match[2]
