"""The statements of a script by what they bind and what they use."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_ASSIGNING = (ast.Assign, ast.AugAssign, ast.AnnAssign)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement at the top of a script: its text, the names it binds, the global names it needs.

    ``changes`` are names whose object it changes in place (``TABLE["x"] = 1``); ``calls`` the name a bare call starts
    with (``model.eval()``), which is never carried.
    """

    text: str
    line: int
    binds: frozenset[str]
    uses: frozenset[str]
    changes: frozenset[str] = frozenset()
    calls: str = ""
    is_import: bool = False
    is_star: bool = False
    is_main_guard: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed script, and where it is (for messages)."""

    where: str
    statements: tuple[Statement, ...]
    binding: dict[str, list[Statement]] = field(default_factory=dict)


def parse_script(text: str, where: str, package: str = "") -> Script:
    """Parse a script; relative imports are written out with the name of its package. Raises SyntaxError."""
    # A notebook may await at its top level; whether what is carried compiles is found out at the end.
    tree = compile(text, where, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    shared = _shared_lines(tree.body)
    lines = text.splitlines()
    statements = tuple(_statement(node, lines, package, node.lineno in shared) for node in tree.body)
    binding: dict[str, list[Statement]] = {}
    for statement in statements:
        for name in statement.binds:
            binding.setdefault(name, []).append(statement)
    return Script(where, statements, binding)


def free_names(text: str) -> set[str]:
    """Return the names that a piece of code takes from its globals (or from Python itself)."""
    table = symtable.symtable(text, "<code>", "exec")
    return {name for name in _global_uses(table) if name not in _bound(table)}


def _statement(node: ast.stmt, lines: list[str], package: str, shared: bool) -> Statement:
    if isinstance(node, ast.ImportFrom) and node.level:
        node = ast.fix_missing_locations(_absolute(node, package))
        text = ast.unparse(node)
    else:
        text = ast.unparse(node) if shared else "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
    is_star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    if is_star:
        return Statement(text, node.lineno, frozenset(), frozenset(), is_import=True, is_star=True)
    table = symtable.symtable(ast.unparse(node), "<statement>", "exec")
    return Statement(
        text,
        node.lineno,
        frozenset(_bound(table)),
        frozenset(_global_uses(table)),
        frozenset(_changed(node)),
        _called(node),
        is_import=isinstance(node, ast.Import | ast.ImportFrom),
        is_main_guard=isinstance(node, ast.If) and "__name__" in ast.unparse(node.test),
    )


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _shared_lines(nodes: Iterable[ast.stmt]) -> set[int]:
    """Return the lines on which a statement starts that is not alone on its lines."""
    shared, last, last_start = set[int](), 0, 0
    for node in nodes:
        if node.lineno == last:
            shared |= {node.lineno, last_start}
        last, last_start = node.end_lineno or node.lineno, node.lineno
    return shared


def _absolute(node: ast.ImportFrom, package: str) -> ast.ImportFrom:
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1])
    return ast.ImportFrom(".".join(filter(None, (base, node.module))), node.names, 0, lineno=node.lineno)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _bound(table: symtable.SymbolTable) -> set[str]:
    top = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    declared = {
        symbol.get_name()
        for inner in _tables(table)
        if inner is not table
        for symbol in inner.get_symbols()
        if symbol.is_declared_global() and symbol.is_assigned()
    }
    return top | declared


def _global_uses(table: symtable.SymbolTable) -> set[str]:
    return {
        symbol.get_name()
        for inner in _tables(table)
        for symbol in inner.get_symbols()
        if symbol.is_referenced() and (inner is table or symbol.is_global())
    }


def _changed(node: ast.stmt) -> set[str]:
    if not isinstance(node, _ASSIGNING):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {_root(target) for target in targets if isinstance(target, ast.Attribute | ast.Subscript)} - {""}


def _called(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _root(node.value.func)
    return ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
