"""From a file or a text to a module that is loaded once."""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Final

from servegraph.errors import GraphError
from servegraph.sources.cells import python_of, read_cells
from servegraph.sources.marks import IGNORED_TAGS, marked_code, unignored

_loaded: Final[dict[tuple[str, str], ModuleType]] = {}
_loading: Final[list[str]] = []


def read_code(path: str | Path, name: str = "", ignored_tags: Collection[str] = IGNORED_TAGS) -> str:
    """Return the code a function takes from a file: all of a ``.py``, the marked cells of an ``.ipynb``."""
    path = existing(path)
    if path.suffix == ".ipynb":
        return marked_code(read_cells(path), name, ignored_tags)
    return path.read_text(encoding="utf-8")


def load_file(path: str | Path) -> ModuleType:
    """Load all of a ``.py`` or ``.ipynb`` file (but for ignored cells) as a module that is not ``__main__``."""
    path = existing(path)
    if path.suffix == ".ipynb":
        code = "\n\n".join(python_of(cell) for cell in unignored(read_cells(path)))
    else:
        code = path.read_text(encoding="utf-8")
    return load_code(code, path.stem, path)


def load_code(code: str, name: str, origin: str | Path = "") -> ModuleType:
    """Load code as a module; the same code of the same file is loaded once, and never while it is being loaded.

    ``origin`` is the file it came from: its folder joins the import path, and where it is the running program itself,
    that program is the module. Raises GraphError with file and line of what went wrong, the error itself as cause.
    """
    file = str(Path(origin).resolve()) if origin else ""
    if file and file == _main_file():
        return sys.modules["__main__"]
    key = (file, hashlib.sha256(code.encode()).hexdigest())
    if key not in _loaded:
        _loaded[key] = module = ModuleType(_module_name(name, file))
        try:
            _run(module, code, file or f"<code of {name}>")
        except BaseException:
            del _loaded[key]
            raise
    return _loaded[key]


def file_being_loaded() -> str:
    """Return the name of the file whose code runs right now because it is being loaded, or nothing."""
    return Path(_loading[-1]).name if _loading else ""


def existing(path: str | Path) -> Path:
    """Return the path of a file that is there; raises FileNotFoundError saying where it was looked for."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file '{path}' (looked in {path.absolute().parent})")
    return path


def _run(module: ModuleType, code: str, file: str) -> None:
    module.__file__ = file
    if Path(file).is_file():
        folder = str(Path(file).parent)
        if folder not in sys.path:
            sys.path.append(folder)
    # The code of a notebook or a spec stands in no file; tracebacks and inspect find its lines here.
    if not file.endswith(".py"):
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    sys.modules[module.__name__] = module
    _loading.append(file)
    try:
        exec(compile(code, file, "exec"), module.__dict__)
    except GraphError as error:
        del sys.modules[module.__name__]
        error.add_note(f"in {_line_of(error, file)}")
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise GraphError(f"{_line_of(error, file)}: {type(error).__name__}: {error}", code="source") from error
    finally:
        _loading.pop()


def _line_of(error: BaseException, file: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{Path(file).name}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}, line {lines[-1]}" if lines else Path(file).name


def _main_file() -> str:
    file = getattr(sys.modules["__main__"], "__file__", None)
    return str(Path(file).resolve()) if file else ""


def _module_name(name: str, file: str) -> str:
    stem = re.sub(r"\W", "_", name) or "code"
    free, number = stem, 2
    while free in sys.modules or _is_other(free, file):
        free, number = f"{stem}_{number}", number + 1
    return free


def _is_other(name: str, file: str) -> bool:
    """Whether another module than that of the file could be imported under a name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and (not spec.origin or str(Path(spec.origin).resolve()) != file)
