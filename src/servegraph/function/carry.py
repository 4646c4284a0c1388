"""The code that travels with a function: its marked regions, or the source of what its graph names."""

from __future__ import annotations

import ast
import builtins
import keyword
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from servegraph.engine.names import LIBRARY
from servegraph.errors import Fault, GraphError
from servegraph.function.spec import FunctionSpec, Graph
from servegraph.graph.naming import name_of
from servegraph.graph.spec import FlowSpec, GraphSpec, RouterSpec, TaskSpec, tasks
from servegraph.sources.extract import Extract, extract
from servegraph.sources.history import marked_history
from servegraph.sources.marks import marked_code, marks_in
from servegraph.sources.objects import (
    is_library,
    module_of,
    name_in,
    nested_source,
    script_of,
    text_of,
    unreadable_arguments,
)
from servegraph.sources.script import free_names, parse_script

logger = logging.getLogger("servegraph")

Task = TypeVar("Task", bound=TaskSpec)
Space = Mapping[str, Any]

# Objects of these modules are the definition itself, which runs nowhere else.
_DEFINING: Final = tuple(f"servegraph.{room}" for room in ("function", "project", "graph", "serve"))


@dataclass(frozen=True, slots=True)
class Carried:
    """The text of a module in which a graph's names are found, and the graph with the names as they are there."""

    code: str
    graph: GraphSpec
    initializer: str
    default_class: str


def carry(name: str, spec: FunctionSpec, graph: Graph, home: Space, spaces: Sequence[Space]) -> Carried:
    """Collect the code of everything the graph names.

    ``home`` are the globals where the function was made, ``spaces`` the namespaces in which its names are looked for,
    the nearest first. Raises GraphError with everything that cannot be carried and why.
    """
    marked = "" if spec.build.code else _marked(name, home)
    load = _Load(spec.build.code or marked, home, spaces, dict(graph.live.names), bool(marked))
    load.faults += _lost_arguments(graph)
    for wanted, step in _named(graph.spec):
        load.place(wanted, step)
    initializer = load.called(spec.graph_initializer)
    default_class = load.called(spec.default_class)
    code = load.code()
    if load.faults:
        raise GraphError(load.faults)
    return Carried(code, _renamed(graph.spec, load.renames), initializer, default_class)


def _lost_arguments(graph: Graph) -> list[Fault]:
    """Return a fault for every argument of a constructor that a document cannot hold."""
    lost = [(path, name) for path, arguments in graph.live.arguments.items() for name in arguments]
    given = {path: task.class_args for path, task in tasks(graph.spec)}
    for path, instance in graph.live.instances.items():
        lost += [(path, name) for name in unreadable_arguments(instance, given.get(path, {}))]
    message = "argument '{}' cannot be written into a document: give the step plain data and build the object inside"
    return [Fault(path, "code", message.format(name)) for path, name in lost]


def _marked(name: str, home: Space) -> str:
    try:
        cells = script_of(home)
    except LookupError:
        return ""
    if not any(marks_in(cell) for cell in cells):
        return ""
    return marked_history(cells, name) if cells[0].where.startswith("In [") else marked_code(cells, name)


def _named(spec: GraphSpec) -> Iterator[tuple[str, str]]:
    """Yield every name of the graph that stands for code, with the step that uses it."""
    for path, task in tasks(spec):
        if task.class_name or task.handler:
            yield task.class_name or task.handler, path
        for key, value in task.class_args.items():
            if key.startswith("_") and isinstance(value, str):
                yield value, path


def _renamed(spec: GraphSpec, renames: Mapping[str, str]) -> GraphSpec:
    if isinstance(spec, RouterSpec):
        return _renamed_task(spec, renames)
    steps = {
        name: _renamed_task(step, renames) if isinstance(step, TaskSpec) else step for name, step in spec.steps.items()
    }
    changed: FlowSpec = msgspec.structs.replace(spec, steps=steps)
    return changed


def _renamed_task(task: Task, renames: Mapping[str, str]) -> Task:
    changes: dict[str, Any] = {
        "class_name": renames.get(task.class_name, task.class_name),
        "class_args": {
            key: renames.get(value, value) if key.startswith("_") and isinstance(value, str) else value
            for key, value in task.class_args.items()
        },
    }
    if not task.class_name:
        changes["handler"] = renames.get(task.handler, task.handler)
    if isinstance(task, RouterSpec):
        if task.error_step is not None:
            changes["error_step"] = _renamed_task(task.error_step, renames)
        changes["routes"] = {name: _renamed_task(route, renames) for name, route in task.routes.items()}
    return msgspec.structs.replace(task, **changes)


@dataclass(slots=True)
class _Load:
    """Everything that is carried for one function; ``renames`` maps names of the graph to names in the code."""

    given: str
    home: Space
    spaces: Sequence[Space]
    live: dict[str, Any]
    is_marked: bool
    faults: list[Fault] = field(default_factory=list)
    renames: dict[str, str] = field(default_factory=dict)
    _by_script: dict[int, tuple[Space, list[tuple[str, str]]]] = field(default_factory=dict)
    _tail: dict[str, str] = field(default_factory=dict)
    _bound: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.given:
            self._bound = set(parse_script(self.given, "the function's code").binding)

    def place(self, wanted: str, step: str) -> None:
        """Find out what a name stands for and take it along."""
        if wanted in self._bound or wanted in self._tail or wanted in self.renames:
            return
        if wanted in self.live:
            self._object(wanted, self.live[wanted], step)
        elif wanted.lstrip().startswith("("):
            for name in sorted(_free_in_expression(wanted)):
                self.place(name, step)
        elif wanted not in LIBRARY and (first := wanted.partition(".")[0]) not in self._bound:
            space = next((space for space in self.spaces if first in space), None)
            if space is not None and _is_module(space):
                self._name(first, space, step)
            elif space is not None:
                self._object(first, space[first], step)

    def called(self, thing: Any) -> str:
        """Take along something that is given by name or as itself; return its name in the code."""
        if not thing:
            return ""
        name = thing if isinstance(thing, str) else name_of(thing)
        if name != thing:
            self.live[name] = thing
        self.place(name, "")
        return self.renames.get(name, name)

    def code(self) -> str:
        """Return the whole text; what is wrong with the pieces is added to the faults."""
        pieces = [self.given] if self.given else []
        owners: dict[str, str] = {}
        for space, wanted in self._by_script.values():
            taken = self._extracted(space, wanted)
            if taken is not None:
                self._check_clashes(taken, owners)
                pieces.append(taken.code())
        text = "\n\n".join(piece.strip("\n") for piece in [*pieces, *self._tail.values()] if piece.strip())
        try:
            compile(text, "<carried>", "exec")
        except SyntaxError as error:
            message = f"the code cannot run as a module: {error.msg}: {(error.text or '').strip()}"
            self.faults.append(Fault("", "code", message))
        return f"{text}\n" if text else ""

    def _name(self, name: str, space: Space, step: str) -> None:
        if is_library(space):
            self._tail[name] = f"from {space['__name__']} import {name}"
        elif self.is_marked and space is self.home and module_of(space[name]) is space:
            message = f"'{name}' stands outside of '# mlrun: start-code' and '# mlrun: end-code'; put it between"
            self.faults.append(Fault(step, "code", message))
        elif not (space is self.home and name in self._bound):
            self._by_script.setdefault(id(space), (space, []))[1].append((name, step))

    def _object(self, name: str, thing: Any, step: str) -> None:
        space: Space = module_of(thing)
        here = name_in(space, thing)
        if not here and (here := name_in(self.home, thing)):
            space = self.home
        if here:
            self._top_level(name, here, space, step)
            return
        try:
            source = nested_source(thing)
        except LookupError as error:
            self.faults.append(Fault(step, "code", f"'{name}' cannot be carried: {error.args[0]}"))
            return
        self._nested(name, thing, source, space, step)

    def _top_level(self, name: str, here: str, space: Space, step: str) -> None:
        if space is not self.home and space.get("__name__") != "__main__":
            # It can be imported by the name of its module, which is what the graph calls it by.
            if name != f"{space['__name__']}.{here}":
                self._tail[here] = f"from {space['__name__']} import {here}"
                self._call_it(name, here)
            return
        self._name(here, space, step)
        self._call_it(name, here)

    def _call_it(self, name: str, here: str) -> None:
        if name != here:
            self.renames[name] = here

    def _nested(self, name: str, thing: Any, source: str, space: Space, step: str) -> None:
        for used in sorted(free_names(source)):
            if used in space:
                self._name(used, space, step)
            elif not hasattr(builtins, used):
                message = f"'{name}' cannot be carried: it uses '{used}' of the function it is defined in"
                self.faults.append(Fault(step, "code", message))
        if source.startswith("lambda"):
            inner = _identifier(name)
            self._tail[inner] = f"{inner} = {source}"
        else:
            inner = thing.__name__
            self._tail[inner] = source
        self._call_it(name, inner)

    def _extracted(self, space: Space, wanted: list[tuple[str, str]]) -> Extract | None:
        try:
            cells = script_of(space)
        except LookupError as error:
            names = ", ".join(f"'{name}'" for name in sorted({name for name, _ in wanted}))
            self.faults.append(Fault(wanted[0][1], "code", f"{names} cannot be carried: {error.args[0]}"))
            return None
        script = parse_script(text_of(cells), cells[0].where, str(space.get("__package__") or ""))
        taken = extract(script, wanted, space, _refused)
        self.faults += taken.faults
        for warning in taken.warnings:
            logger.warning("%s", warning)
        return taken

    def _check_clashes(self, taken: Extract, owners: dict[str, str]) -> None:
        where = taken.script.where
        for name in sorted({name for statement in taken.statements for name in statement.binds}):
            text = "\n".join(each.text for each in taken.statements if name in each.binds)
            if owners.setdefault(name, text) != text:
                self.faults.append(Fault("", "code", f"'{name}' means two things, one in {where}; rename one"))


def _is_module(space: Space) -> bool:
    return "__builtins__" in space


def _free_in_expression(text: str) -> set[str]:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return set()
    return free_names(text.strip()) - {"event"}


def _identifier(name: str) -> str:
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_1" if keyword.iskeyword(plain) else plain


def _refused(value: Any) -> str:
    if type(value).__module__.startswith(_DEFINING):
        return f"it is a {type(value).__name__}, a definition that does not exist where the steps run"
    return ""
