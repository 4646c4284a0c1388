"""The namespaces of whoever called servegraph: the nearest caller first."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"
_STDLIB: Final = f"{sysconfig.get_path('stdlib')}{os.sep}"
_INSTALLED: Final = tuple(
    f"{folder}{os.sep}"
    for folder in (
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        site.getusersitepackages(),
        *site.getsitepackages(),
    )
)


def caller_namespaces() -> list[dict[str, Any]]:
    """Return the variables of all callers outside servegraph and the standard library, locals before globals.

    The last is always the namespace of the program itself (``__main__``).
    """
    found: dict[int, dict[str, Any]] = {}
    for frame in _callers():
        if frame.f_locals is not frame.f_globals:
            found[id(frame)] = dict(frame.f_locals)
        found.setdefault(id(frame.f_globals), frame.f_globals)
    main = vars(sys.modules["__main__"])
    found.setdefault(id(main), main)
    return list(found.values())


def caller_globals() -> dict[str, Any]:
    """Return the globals of the nearest caller outside servegraph; those of the program where there is none."""
    frame = next(_callers(), None)
    return frame.f_globals if frame is not None else vars(sys.modules["__main__"])


def is_installed(file: str) -> bool:
    """Whether a file belongs to the standard library or an installed package, not to the user's own code."""
    return file.startswith((_OURS, _STDLIB, *_INSTALLED, "<frozen"))


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        ours = file.startswith((_OURS, "<frozen"))
        # Packages are installed below the folder of the standard library; they are not part of it.
        if not ours and (not file.startswith(_STDLIB) or file.startswith(_INSTALLED)):
            yield frame
        frame = frame.f_back
