"""Every fault of a definition, as Python that a user writes and as the graph's data, and the ways in that tell of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from tests.failures.folder import HEAD

from servegraph.cli import main
from servegraph.errors import Fault, GraphError
from servegraph.function import ServingFunction, import_function

Faults = list[dict[str, str]]


@dataclass(frozen=True)
class Definition:
    """One fault: what it is called on the page, how it comes about in Python, and the same as data.

    ``graph`` is ``None`` where data cannot say it; ``python`` is empty where only data can: it is then given as a dict.
    """

    name: str
    python: str
    graph: dict[str, Any] | None

    @property
    def source(self) -> str:
        return HEAD + (self.python or f"fn.spec.graph = {self.graph!r}") + "\n"


def _flow(python: str) -> str:
    return f'graph = fn.set_topology("flow")\n{python}'


def _one(**step: Any) -> dict[str, Any]:
    return {"steps": {"price": {**step, "responder": True}}}


_PARSE = {"handler": "prices.parse"}
_TO_PARSE = 'graph.to(name="parse", handler="prices.parse")'
_GUARDED = f'{_TO_PARSE}.error_handler("catcher", handler="prices.parse")'

DEFINITIONS = [
    Definition("a class that its module does not have",
               _flow('graph.to("prices.Addr", "price", add=1).respond()'),
               _one(class_name="prices.Addr", class_args={"add": 1})),
    Definition("a class that the library does not have",
               _flow('graph.to("storey.Extnd", "price", _fn="(event)").respond()'),
               _one(class_name="storey.Extnd", class_args={"_fn": "(event)"})),
    Definition("a handler that is nowhere",
               _flow('graph.to(name="price", handler="cost_of_apples").respond()'),
               _one(handler="cost_of_apples")),
    Definition("a handler in a module that cannot be imported",
               _flow('graph.to(name="price", handler="stale.parse").respond()'),
               _one(handler="stale.parse")),
    Definition("a handler that cannot be called",
               _flow('graph.to(name="price", handler="math.pi").respond()'),
               _one(handler="math.pi")),
    Definition("an expression that is no Python",
               _flow('graph.to(name="price", handler="(event + )").respond()'),
               _one(handler="(event + )")),
    Definition("an expression with an unknown name",
               _flow('graph.to(name="price", handler="(evnt + 1)").respond()'),
               _one(handler="(evnt + 1)")),
    Definition("an unknown keyword",
               _flow('graph.to("prices.Adder", "price", ad=1).respond()'),
               _one(class_name="prices.Adder", class_args={"ad": 1})),
    Definition("a missing argument",
               _flow('graph.to("prices.Adder", "price").respond()'),
               _one(class_name="prices.Adder")),
    Definition("a method that the class does not have",
               _flow('graph.to("prices.Adder", "price", handler="dos", add=1).respond()'),
               _one(class_name="prices.Adder", handler="dos", class_args={"add": 1})),
    Definition("a class that is no step",
               _flow('graph.to("prices.Empty", "price").respond()'),
               _one(class_name="prices.Empty")),
    Definition("a class that is no router",
               _flow('graph.to("*prices.Whole", "price").add_route("parse", handler="prices.parse")\n'
                     'graph["price"].respond()'),
               _one(kind="router", class_name="prices.Whole", routes={"parse": _PARSE})),
    Definition("paths for a step that gets the whole event",
               _flow('graph.to("prices.Whole", "price", input_path="a").respond()'),
               _one(class_name="prices.Whole", input_path="a")),
    Definition("nothing to run",
               _flow('graph.to(name="price").respond()'),
               _one()),
    Definition("a name that is taken",
               _flow(f'{_TO_PARSE}\n{_TO_PARSE}'),
               None),
    Definition("a name that cannot be",
               _flow('graph.to(name="price/net", handler="prices.parse").respond()'),
               {"steps": {"price/net": {**_PARSE, "responder": True}}}),
    Definition("`after` names no step",
               _flow(f'{_TO_PARSE}\ngraph.add_step(name="price", handler="prices.parse", after="prase")'),
               {"steps": {"parse": _PARSE, "price": {**_PARSE, "after": ["prase"]}}}),
    Definition("`before` of an error handler names no step",
               _flow(f'{_TO_PARSE}.error_handler("catcher", handler="prices.parse", before="price")'),
               {"steps": {"parse": {**_PARSE, "on_error": "catcher"},
                          "catcher": {**_PARSE, "kind": "error_step", "before": ["price"]}}}),
    Definition("an error handler that is not there",
               _flow(f'{_GUARDED}\ndel graph["catcher"]'),
               {"steps": {"parse": {**_PARSE, "on_error": "catcher"}}}),
    Definition("an error handler that is none",
               _flow(f'{_GUARDED}\ndel graph["catcher"]\ngraph.to(name="catcher", handler="prices.parse")'),
               {"steps": {"parse": {**_PARSE, "on_error": "catcher"}, "catcher": _PARSE}}),
    Definition("a loop",
               _flow(f'{_TO_PARSE}.to(name="price", handler="prices.parse")\ngraph["parse"].after("price")'),
               {"steps": {"parse": {**_PARSE, "after": ["price"]}, "price": {**_PARSE, "after": ["parse"]}}}),
    Definition("a cycle that was not allowed",
               _flow(f'{_TO_PARSE}.cycle_to("parse")'),
               {"steps": {"parse": {**_PARSE, "cycle_from": ["parse"]}}}),
    Definition("cycles in the sync engine",
               'fn.set_topology("flow", engine="sync", allow_cyclic=True)',
               {"engine": "sync", "allow_cyclic": True, "steps": {"parse": _PARSE}}),
    Definition("two steps that respond",
               _flow(f'{_TO_PARSE}.respond().to(name="price", handler="prices.parse").respond()'),
               {"steps": {"parse": {**_PARSE, "responder": True},
                          "price": {**_PARSE, "after": ["parse"], "responder": True}}}),
    Definition("a responder that no event reaches",
               _flow(f'{_GUARDED}\ngraph["catcher"].to(name="price", handler="prices.parse").respond()\n'
                     'graph["parse"].error_handler("other", handler="prices.parse")'),
               {"steps": {"parse": {**_PARSE, "on_error": "other"},
                          "catcher": {**_PARSE, "kind": "error_step"},
                          "price": {**_PARSE, "after": ["catcher"], "responder": True},
                          "other": {**_PARSE, "kind": "error_step"}}}),
    Definition("a router without routes",
               _flow('graph.to("*", "price").respond()'),
               _one(kind="router")),
    Definition("a graph without steps", 'fn.set_topology("flow")', {"kind": "root", "steps": {}}),
    Definition("a step of another function without a queue before it",
               _flow(f'{_TO_PARSE}.to(name="price", handler="prices.parse", function="till")'),
               {"steps": {"parse": _PARSE, "price": {**_PARSE, "after": ["parse"], "function": "till"}}}),
    Definition("a number that cannot be",
               _flow('graph.to(name="price", handler="prices.parse", retries=-1).respond()'),
               _one(**_PARSE, retries=-1)),
    Definition("a value of a wrong type",
               _flow('graph.to(name="price", handler="prices.parse", timeout="soon").respond()'),
               _one(**_PARSE, timeout="soon")),
    Definition("an unknown engine",
               'fn.set_topology("flow", engine="asink")',
               {"engine": "asink", "steps": {"parse": _PARSE}}),
    Definition("an unknown way to run a step",
               _flow('graph.to(name="price", handler="prices.parse", run_in="threads").respond()'),
               _one(**_PARSE, run_in="threads")),
    Definition("an unknown topology", 'fn.set_topology("rooter")', None),
    Definition("an unknown field", "", _one(handlr="prices.parse")),
    Definition("an unknown kind of step", "", _one(kind="tsk", **_PARSE)),
    Definition("a step that is no mapping", "", {"steps": {"price": "prices.parse"}}),
    Definition("several faults at once",
               _flow('graph.to("prices.Adder", "parse").to(name="price", handler="prices.prase").respond()'),
               {"steps": {"parse": {"class_name": "prices.Adder"},
                          "price": {"handler": "prices.prase", "after": ["parse"], "responder": True}}}),
]  # fmt: skip


def by_python(case: Definition, folder: Path) -> Faults:
    """Run the Python of a case and check the function, where it gets as far."""
    try:
        return _plain(_defined(case).check([]))
    except GraphError as error:
        return _plain(error.faults)


def by_starting(case: Definition, folder: Path) -> Faults:
    """Run the Python of a case and start a mock server."""
    try:
        _defined(case).to_mock_server()
    except GraphError as error:
        return _plain(error.faults)
    return []


def by_json(case: Definition, folder: Path) -> Faults:
    """Import the graph of a case as JSON and check the function."""
    return _imported(_json(case, folder))


def by_yaml(case: Definition, folder: Path) -> Faults:
    """Import the graph of a case as YAML and check the function."""
    return _imported(_yaml(case, folder))


def by_cli_of_python(case: Definition, folder: Path) -> Faults:
    """Let ``servegraph check`` look at the Python of a case."""
    file = folder / "app.py"
    file.write_text(case.source)
    return _checked(file)


def by_cli_of_json(case: Definition, folder: Path) -> Faults:
    """Let ``servegraph check`` look at the graph of a case as JSON."""
    return _checked(_json(case, folder))


def by_cli_of_yaml(case: Definition, folder: Path) -> Faults:
    """Let ``servegraph check`` look at the graph of a case as YAML."""
    return _checked(_yaml(case, folder))


PYTHON_DOORS: list[Callable[[Definition, Path], Faults]] = [by_python, by_starting, by_cli_of_python]
DATA_DOORS: list[Callable[[Definition, Path], Faults]] = [by_json, by_yaml, by_cli_of_json, by_cli_of_yaml]


def _defined(case: Definition) -> ServingFunction:
    space: dict[str, Any] = {"__name__": "app"}
    exec(compile(case.source, "app.py", "exec"), space)
    function: ServingFunction = space["fn"]
    return function


def _json(case: Definition, folder: Path) -> Path:
    file = folder / "graph.json"
    file.write_text(json.dumps(case.graph))
    return file


def _yaml(case: Definition, folder: Path) -> Path:
    file = folder / "graph.yaml"
    file.write_text(yaml.safe_dump(case.graph, sort_keys=False))
    return file


def _imported(file: Path) -> Faults:
    try:
        return _plain(import_function(str(file)).check([]))
    except GraphError as error:
        return _plain(error.faults)


def _checked(file: Path) -> Faults:
    done = CliRunner().invoke(main, ["check", str(file), "--json"])
    told = json.loads(done.stdout)["faults"]
    assert done.exit_code == (1 if told else 0)
    return [_row(fault) for fault in told]


def _plain(faults: Iterable[Fault]) -> Faults:
    return [_row(fault.as_dict()) for fault in faults]


def _row(fault: dict[str, str]) -> dict[str, str]:
    return {"step": fault["step"], "code": fault["code"], "message": anywhere(fault["message"])}


def anywhere(message: str) -> str:
    """Leave out in which of the user's own modules a name was looked for: that depends on the door."""
    return re.sub(r"not found in .*?the library", "not found in ... the library", message)
