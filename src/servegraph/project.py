"""A project: a folder with a ``project.yaml`` that keeps its functions."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from servegraph.errors import Fault, GraphError, nearest
from servegraph.function import ServingFunction, code_to_function, import_function
from servegraph.function.create import CODE, DOCUMENTS, check_kind
from servegraph.function.documents import KIND, parse_document, write_document
from servegraph.function.spec import normalised_name
from servegraph.sources.load import load_file

logger = logging.getLogger("servegraph")

FILE: Final = "project.yaml"
_SETUP: Final = "project_setup.py"


class Project:
    """A folder of functions; ``context`` is the folder, ``params`` are values of the user's own.

    Functions are kept in memory until ``save``.
    """

    def __init__(self, name: str, context: str | Path = "./", params: Mapping[str, Any] | None = None) -> None:
        """Name a project and its folder; nothing is read or written."""
        self.name = normalised_name(name)
        self.context = Path(context)
        self.params = dict(params or {})
        self.description = ""
        self._functions: dict[str, ServingFunction] = {}
        # What project.yaml says of functions that nobody has asked for yet.
        self._entries: dict[str, dict[str, Any]] = {}

    def set_function(
        self,
        func: ServingFunction | str | Path | None = None,
        name: str = "",
        kind: str = KIND,
        image: str | None = None,
        handler: str | None = None,
        with_repo: bool | None = None,
        tag: str | None = None,
        requirements: Sequence[str] | str | None = None,
        requirements_file: str = "",
    ) -> ServingFunction:
        """Add a function, in place of one of the same name, and return it.

        ``func`` is a function, a ``.py`` or ``.ipynb`` file of code, a path or URL of a YAML or JSON document, a dotted
        module (``with_repo``: one in the project's folder; ``handler``: the function of it that is served), or left out
        for a function whose code is where it is defined. A lone word is the name. Relative paths start at the
        project's folder. Raises FileNotFoundError, GraphError.
        """
        check_kind(kind or KIND)
        if isinstance(func, ServingFunction):
            function = self._given(func, name, handler, tag)
        elif func is None or isinstance(func, str | Path):
            function = self._made(str(func or ""), name, handler, bool(with_repo))
        else:
            raise GraphError(f"func is a function, a path, a URL or a module, not {type(func).__name__}", code="func")
        function.metadata.project = self.name
        function.metadata.tag = tag or function.metadata.tag
        function.spec.image = image or function.spec.image
        if requirements or requirements_file:
            function.with_requirements(requirements or (), requirements_file=requirements_file)
        key = _key(function.metadata.name, function.metadata.tag)
        self._entries.pop(key, None)
        self._functions[key] = function
        return function

    def get_function(
        self,
        key: str,
        sync: bool = False,
        enrich: bool = False,
        ignore_cache: bool = False,
        copy_function: bool = False,
        tag: str = "",
    ) -> ServingFunction:
        """Return a function by name, or a copy of it; ``sync`` or ``ignore_cache`` read it from ``project.yaml`` again.

        Raises GraphError with the nearest name where there is none. ``enrich`` is taken and not used.
        """
        name, _, given_tag = key.partition(":")
        key = _key(normalised_name(name), tag or given_tag)
        if sync or ignore_cache:
            self._forget_unsaved(key)
        if key in self._entries:
            self._functions[key] = self._read(key, self._entries.pop(key))
        if key not in self._functions:
            raise GraphError(self._unknown(key), code="name")
        function = self._functions[key]
        return function.copy() if copy_function else function

    def list_functions(self) -> list[ServingFunction]:
        """Return all functions, in the order in which they were added."""
        return [self.get_function(key) for key in self.function_names()]

    def function_names(self) -> list[str]:
        """Return the names of all functions (``name:tag`` where there is a tag)."""
        return [*self._entries, *self._functions]

    def remove_function(self, name: str) -> None:
        """Remove a function; raises GraphError where there is none."""
        key = _key(*(normalised_name(name.partition(":")[0]), name.partition(":")[2]))
        if key not in self._entries and key not in self._functions:
            raise GraphError(self._unknown(key), code="name")
        self._entries.pop(key, None)
        self._functions.pop(key, None)

    def save(self) -> Path:
        """Write ``project.yaml`` with all functions and the code they need, and return its path.

        Raises GraphError for code that cannot be carried, and where the folder belongs to another project; the file
        is then as it was.
        """
        path = self.context / FILE
        if path.is_file() and (other := _name_in(path)) != self.name:
            raise GraphError(_taken(self.context, other, self.name), code="project")
        return self.export(path)

    def export(self, filepath: str | Path = "") -> Path:
        """Write the project to a YAML or JSON file (``project.yaml`` in its folder) and return the path."""
        path = Path(filepath or self.context / FILE)
        write_document(self.to_dict(), path)
        return path

    def to_dict(self) -> dict[str, Any]:
        """Return the project as plain data; raises GraphError for code of its functions that cannot be carried."""
        faults: list[Fault] = []
        functions = list(self._entries.values())
        for function in self._functions.values():
            try:
                functions.append(self._entry(function))
            except GraphError as error:
                about = f"function '{function.metadata.name}'"
                faults += [Fault(fault.step, fault.code, f"{about}: {fault.message}") for fault in error.faults]
        if faults:
            raise GraphError(faults)
        spec = {"description": self.description, "params": self.params, "functions": functions}
        return {
            "kind": "project",
            "metadata": {"name": self.name},
            "spec": {name: value for name, value in spec.items() if value},
        }

    def __repr__(self) -> str:
        return f"Project(name={self.name!r}, context={str(self.context)!r}, functions={self.function_names()})"

    def _given(self, function: ServingFunction, name: str, handler: str | None, tag: str | None) -> ServingFunction:
        if handler:
            raise GraphError("a function object comes with its graph: handler= cannot be set for it", code="handler")
        there = function.metadata.tag
        if tag and there and tag != there:
            raise GraphError(f"the function has the tag '{there}', which tag='{tag}' contradicts", code="tag")
        if name:
            function.metadata.name = normalised_name(name)
        return function

    def _made(self, func: str, name: str, handler: str | None, with_repo: bool) -> ServingFunction:
        suffix = Path(func).suffix.lower()
        is_module = all(part.isidentifier() for part in func.split(".")) and bool("." in func or name or with_repo)
        if handler and not (func and is_module and suffix not in CODE + DOCUMENTS):
            raise GraphError(
                "handler= is for a dotted module only: elsewhere the graph says what runs (fn.set_topology)",
                code="handler",
            )
        if "://" in func or suffix in DOCUMENTS:
            return import_function(func if "://" in func else str(self._path(func)), new_name=name)
        if suffix in CODE:
            return code_to_function(name, filename=str(self._path(func)))
        if func and is_module:
            return self._of_module(func, name, handler, with_repo)
        if func and (name or "/" in func or "\\" in func):
            raise GraphError(f"'{func}' is no .py, .ipynb, .yaml or .json file, URL or dotted module", code="func")
        if not (func or name):
            raise GraphError("a function needs a name: project.set_function(name='...', kind='serving')", code="name")
        return ServingFunction(func or name)

    def _of_module(self, module: str, name: str, handler: str | None, with_repo: bool) -> ServingFunction:
        function = ServingFunction(name or module.rpartition(".")[2])
        function.spec.build.code = f"from {module} import *\n"
        if with_repo:
            function.spec.build.source = str(self.context.resolve())
        if handler:
            function.set_topology("flow").to(name=handler, handler=f"{module}.{handler}").respond()
        return function

    def _path(self, path: str) -> Path:
        given = Path(path).expanduser()
        below = self.context / given
        return below if below.exists() or given.is_absolute() or not given.exists() else given

    def _entry(self, function: ServingFunction) -> dict[str, Any]:
        data = function.exported()
        entry: dict[str, Any] = {"name": function.metadata.name}
        origin = function.spec.build.origin_filename
        if origin and Path(origin).is_relative_to(self.context.resolve()):
            # The file is the source of truth: it stays where it is edited.
            entry["url"] = Path(origin).relative_to(self.context.resolve()).as_posix()
            del data["spec"]["build"]["code"]
        return {**entry, "spec": data}

    def _read(self, key: str, entry: Mapping[str, Any]) -> ServingFunction:
        document, url = entry.get("spec"), entry.get("url")
        if document is None:
            function = self._made(str(url or ""), key.partition(":")[0], entry.get("handler"), False)
        else:
            function = ServingFunction.from_dict(document, self.context.resolve())
            if url:
                function.with_code(from_file=str(self._path(url)))
        function.metadata.project = self.name
        return function

    def _forget_unsaved(self, key: str) -> None:
        path = self.context / FILE
        entries = _read_file(path)[1] if path.is_file() else {}
        if key in entries:
            self._functions.pop(key, None)
            self._entries[key] = entries[key]

    def _unknown(self, key: str) -> str:
        known = self.function_names()
        listed = f", there are: {', '.join(known)}" if known else ": it has none yet"
        return f"project '{self.name}' has no function '{key}'{listed}{nearest(key, known)}"


def get_or_create_project(
    name: str,
    context: str | Path = "./",
    url: str | None = None,
    secrets: Mapping[str, str] | None = None,
    init_git: bool = False,
    subpath: str | None = None,
    clone: bool = False,
    user_project: bool = False,
    from_template: str | None = None,
    save: bool = True,
    parameters: Mapping[str, Any] | None = None,
    allow_cross_project: bool | None = None,
    run_setup: bool = False,
) -> Project:
    """Return the project of a folder, or make one there: with ``save``, its ``project.yaml`` is written.

    A folder that belongs to a project of another name is left alone: the new project then lives in memory until it is
    given a folder of its own, or with ``allow_cross_project`` the one that is there is returned. ``run_setup`` runs
    ``setup(project)`` of the folder's ``project_setup.py``, which is never run unasked. ``user_project`` adds the
    user's name. Raises GraphError for arguments that need a repository or a service.
    """
    _refuse(url=url, init_git=init_git, subpath=subpath, clone=clone, from_template=from_template, secrets=secrets)
    name = normalised_name(f"{name}-{getpass.getuser()}" if user_project else name)
    path = Path(context) / FILE
    if path.is_file() and (allow_cross_project or _name_in(path) == name):
        project = load_project(context)
    else:
        project = Project(name, context)
        if path.is_file():
            logger.warning("%s; project '%s' is kept in memory", _taken(Path(context), _name_in(path), name), name)
        elif save:
            project.save()
    project.params |= parameters or {}
    return _set_up(project) if run_setup else project


def new_project(
    name: str,
    context: str | Path = "./",
    description: str = "",
    save: bool = True,
    overwrite: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> Project:
    """Return a new project and, with ``save``, write its ``project.yaml``.

    Raises GraphError where the folder has a project already, unless ``overwrite`` says to replace it.
    """
    path = Path(context) / FILE
    if path.is_file() and save and not overwrite:
        raise GraphError(
            f"'{path}' is there already: load_project reads it, overwrite=True replaces it", code="project"
        )
    project = Project(name, context, parameters)
    project.description = description
    if save:
        project.export()
    return project


def load_project(
    context: str | Path = "./",
    name: str = "",
    parameters: Mapping[str, Any] | None = None,
    run_setup: bool = False,
) -> Project:
    """Return the project of a folder; raises FileNotFoundError without ``project.yaml``, GraphError for a wrong one."""
    path = Path(context) / FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no '{FILE}' in '{Path(context).absolute()}'")
    data, entries = _read_file(path)
    project = Project(name or _name_in(path), context, data.get("params"))
    project.description = data.get("description") or ""
    project._entries = entries
    project.params |= parameters or {}
    return _set_up(project) if run_setup else project


def _set_up(project: Project) -> Project:
    path = project.context / _SETUP
    if not path.is_file():
        return project
    setup = getattr(load_file(path), "setup", None)
    if setup is None:
        raise GraphError(f"'{path}' has no function setup(project)", code="project")
    done = setup(project)
    return done if isinstance(done, Project) else project


def _read_file(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what a project.yaml says of the project, and its entries of functions by key."""
    spec = parse_document(path.read_text(encoding="utf-8"), str(path)).get("spec") or {}
    return spec, {_entry_key(entry): entry for entry in spec.get("functions") or ()}


def _entry_key(entry: Mapping[str, Any]) -> str:
    about = (entry.get("spec") or {}).get("metadata") or {}
    return _key(normalised_name(entry.get("name") or about.get("name") or ""), about.get("tag") or "")


def _name_in(path: Path) -> str:
    data = parse_document(path.read_text(encoding="utf-8"), str(path))
    name = (data.get("metadata") or {}).get("name")
    if data.get("kind") != "project" or not name:
        raise GraphError(f"'{path}' is no project: it needs kind 'project' and a name in its metadata", code="project")
    return normalised_name(str(name))


def _key(name: str, tag: str) -> str:
    return f"{name}:{tag}" if tag else name


def _taken(context: Path, other: str, name: str) -> str:
    return f"the folder '{context}' belongs to project '{other}'; give '{name}' one of its own with context="


def _refuse(**given: Any) -> None:
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise GraphError(
            f"get_or_create_project cannot take {', '.join(wrong)}: a project here is a local folder; fetch it first "
            "(git clone) and give its path as context=",
            code="project",
        )
