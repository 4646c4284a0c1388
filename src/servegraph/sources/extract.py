"""What has to be carried so that a name works elsewhere: its source with the imports and assignments it needs."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from servegraph.errors import Fault, nearest
from servegraph.sources.script import Script, Statement


@dataclass(slots=True)
class Extract:
    """The statements of one script that are carried, what could not be, and what was left behind knowingly."""

    script: Script
    statements: list[Statement] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def code(self) -> str:
        """Return the carried statements in the order of the script."""
        return "\n".join(_spaced(self.statements))


def extract(
    script: Script,
    wanted: Iterable[tuple[str, str]],
    values: Mapping[str, Any],
    refuse: Callable[[Any], str] = lambda value: "",
) -> Extract:
    """Collect what the wanted names need, and what that needs in turn; calling statements are never taken.

    ``wanted`` holds names and the step each is for; ``values`` are the script's variables as they are now; ``refuse``
    says why a value must not be carried, or nothing.
    """
    found = Extract(script)
    chosen: dict[int, Statement] = {}
    seen: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name, step = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            statements = _binding(script, name, values, refuse)
        except LookupError as error:
            found.faults.append(Fault(step, "code", str(error.args[0])))
            continue
        for statement in statements:
            if id(statement) not in chosen:
                chosen[id(statement)] = statement
                waiting.extend((used, step) for used in sorted(statement.uses))
    found.statements = [each for each in script.statements if id(each) in chosen or _is_future(each)]
    found.warnings = [
        f"{script.where}, line {each.line}: '{_first(each.text)}' is a call and is not carried with '{each.calls}'; "
        "assign its result, or put the code between '# mlrun: start-code' and '# mlrun: end-code'"
        for each in script.statements
        if each.calls in seen and not all(bound.is_import for bound in script.binding.get(each.calls, ()))
    ]
    return found


def _binding(script: Script, name: str, values: Mapping[str, Any], refuse: Callable[[Any], str]) -> list[Statement]:
    """Return the statements that give a name its value; raises LookupError saying why it cannot be carried."""
    bound = script.binding.get(name, [])
    carried = [statement for statement in bound if not statement.is_main_guard]
    if carried:
        reason = "" if all(statement.is_import for statement in carried) else refuse(values.get(name))
        if reason:
            raise LookupError(f"the code needs '{name}' ({script.where}, line {carried[0].line}): {reason}")
        return carried + [each for each in script.statements if name in each.changes]
    if bound:
        raise LookupError(
            f"'{name}' is only defined under 'if __name__ == ...' ({script.where}, line {bound[0].line}), which does "
            "not run where the code is loaded; define it above that line"
        )
    stars = [each for each in script.statements if each.is_star and _offers(each, name)]
    if stars or hasattr(builtins, name) or (name.startswith("__") and name.endswith("__")):
        return stars
    raise LookupError(f"nothing in {script.where} defines '{name}'{nearest(name, script.binding)}")


def _offers(statement: Statement, name: str) -> bool:
    module = sys.modules.get(statement.text.split()[1])
    return module is not None and hasattr(module, name)


def _is_future(statement: Statement) -> bool:
    return statement.is_import and statement.text.startswith("from __future__ ")


def _first(text: str) -> str:
    line = text.splitlines()[0]
    return line if len(line) <= 60 else f"{line[:60]}..."


def _spaced(statements: Iterable[Statement]) -> Iterable[str]:
    for statement in statements:
        long = "\n" in statement.text
        yield f"\n{statement.text}\n" if long else statement.text
