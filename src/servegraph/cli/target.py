"""What a command is about: the function in ``FILE.py[:name]``, ``FILE.ipynb[:name]`` or a document."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

from servegraph.errors import nearest
from servegraph.function import ServingFunction, import_function
from servegraph.function.create import CODE, DOCUMENTS
from servegraph.project import Project
from servegraph.sources.load import load_file

_SUFFIXES: Final = (*CODE, *DOCUMENTS)


@dataclass(frozen=True, slots=True)
class Target:
    """A function, what its file calls it, that file, and the namespaces in which its names are found."""

    function: ServingFunction
    name: str
    file: Path
    namespaces: list[Any]


def find_target(text: str) -> Target:
    """Load the function that a target names; raises click.UsageError for a target that names none.

    Raises GraphError where the file itself cannot be loaded.
    """
    targets = find_targets(text)
    if len(targets) > 1:
        file, names = targets[0].file, [target.name for target in targets]
        raise click.UsageError(
            f"'{file}' has several functions ({', '.join(names)}): say which, as in {file}:{names[0]}"
        )
    return targets[0]


def find_targets(text: str) -> list[Target]:
    """Load every function that a target may mean: the named one, else those that have a graph, else all there are."""
    file, name = _parted(text)
    folder = str(file.resolve().parent)
    # As ``python FILE.py`` would have it: the modules beside the file come first.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if file.suffix in DOCUMENTS:
        if name:
            raise click.UsageError(f"'{file}' is one function, which takes no ':{name}'")
        function = import_function(str(file))
        return [Target(function, function.metadata.name, file, [])]
    module = load_file(file)
    functions = _functions(module)
    return [Target(functions[each], each, file, [module]) for each in _chosen(functions, name, file)]


def _parted(text: str) -> tuple[Path, str]:
    file, _, name = text.rpartition(":")
    if not file or not file.endswith(_SUFFIXES):
        file, name = text, ""
    path = Path(file)
    if path.suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise click.UsageError(f"'{file}' is no target: give a file that ends with {known}{_near(path)}")
    if not path.is_file():
        raise click.UsageError(f"there is no file '{file}'{_near(path)}")
    return path, name


def _near(path: Path) -> str:
    folder = path.parent
    there = [each.name for each in folder.iterdir() if each.suffix in _SUFFIXES] if folder.is_dir() else []
    return nearest(path.name, there)


def _functions(module: ModuleType) -> dict[str, ServingFunction]:
    """Return the functions of a module by variable or, for those of its projects, by their own name."""
    found: dict[int, tuple[str, ServingFunction]] = {}
    for name, function in _held(vars(module)):
        found.setdefault(id(function), (name, function))
    return dict(found.values())


def _held(variables: Mapping[str, Any]) -> Iterator[tuple[str, ServingFunction]]:
    for name, value in variables.items():
        if isinstance(value, ServingFunction):
            yield name, value
    for value in variables.values():
        if isinstance(value, Project):
            for function in value.list_functions():
                yield function.metadata.name, function


def _chosen(functions: Mapping[str, ServingFunction], name: str, file: Path) -> list[str]:
    if not functions:
        raise click.UsageError(f"'{file}' has no function: make one with servegraph.new_function(...)")
    if name:
        own = {function.metadata.name: variable for variable, function in functions.items()}
        named = {**own, **{variable: variable for variable in functions}}
        if name not in named:
            there = ", ".join(functions)
            raise click.UsageError(f"'{file}' has no function '{name}', it has: {there}{nearest(name, named)}")
        return [named[name]]
    return [each for each in functions if functions[each].spec.graph is not None] or list(functions)
