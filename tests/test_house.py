"""The house keeps its own rules: one idea a file, imports one way down, a light door, errors as they are drawn."""

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import servegraph
from servegraph import errors

HOUSE = Path(__file__).parent.parent
SOURCE = HOUSE / "src" / "servegraph"
MODULES = sorted(SOURCE.rglob("*.py"))
MAX_LINES, MAX_FUNCTION_LINES = 400, 60
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

# Doors that import what is behind them when it is asked for, so that `import servegraph` and `--help` stay light.
FRONT_DOORS = {"cli/actions.py", "function/serving_function.py"}

PAGES = sorted([HOUSE / "README.md", HOUSE / "CHANGELOG.md", *(HOUSE / "docs").rglob("*.md")])


def short(path: Path) -> str:
    return str(path.relative_to(HOUSE))


every_module = pytest.mark.parametrize("path", MODULES, ids=short)


@every_module
def test_a_module_opens_with_one_sentence(path):
    opening = ast.get_docstring(ast.parse(path.read_text()))
    assert opening, "a module says in its first sentence what its one idea is"
    first = opening.split("\n\n")[0]
    assert re.search(r"[.!?:]$", first), f"not a sentence: {first!r}"
    assert first[0].isupper() or first.startswith(("`", "servegraph"))


@every_module
def test_a_module_is_one_idea_long(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


@every_module
def test_functions_are_short(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTION)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@every_module
def test_imports_point_down_for_types_too(path):
    assert "TYPE_CHECKING" not in path.read_text()


@every_module
def test_no_function_imports_the_house(path):
    hidden = [
        f"line {node.lineno}"
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, FUNCTION)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom | ast.Import) and _is_first_party(node)
    ]
    assert bool(hidden) == (path.relative_to(SOURCE).as_posix() in FRONT_DOORS), hidden


@every_module
def test_a_list_of_public_names_is_sorted(path):
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as names):
                listed = list(ast.literal_eval(names))
                assert listed == sorted(set(listed))


@every_module
def test_source_holds_no_leftovers(path):
    text = path.read_text()
    assert re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", text) == []
    assert re.findall(r"(?<![\w.])/(?:home|root|work|Users)/\w+", text) == []


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_pages_name_no_place_of_one_machine(path):
    assert re.findall(r"(?<![\w.])/(?:home|root|work|Users)/\w+", path.read_text()) == []


def test_public_names_resolve():
    assert sorted(servegraph.__all__) == list(servegraph.__all__)
    assert [name for name in servegraph.__all__ if not hasattr(servegraph, name)] == []
    assert set(servegraph.__all__) <= set(dir(servegraph))


def test_imports_keep_to_the_floors():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=HOUSE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


HEAVY = {
    "numpy",
    "pandas",
    "sklearn",
    "httpx",
    "uvicorn",
    "rich",
    "click",
    "yaml",
    "fsspec",
    "asyncio",
    "IPython",
}


def test_import_is_light():
    program = "import sys; before = set(sys.modules); import servegraph; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & {name.partition(".")[0] for name in loaded} == set()


def test_core_needs_few_packages():
    assert len(_requirements("servegraph")) <= 8
    assert len(_closure("servegraph")) <= 25


def test_every_import_is_declared():
    brought = {*sys.stdlib_module_names, "servegraph"}
    owners = importlib.metadata.packages_distributions()
    packages = _closure("servegraph", frozenset({"all"}))
    brought |= {name for name, homes in owners.items() if packages & {canonicalize_name(home) for home in homes}}
    imported = {
        name.partition(".")[0]
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported_names(node)
    }
    optional = {"pandas"}  # used where it is there; nothing of servegraph needs it
    assert imported - brought - optional == set()


def test_the_drawn_tree_of_errors_is_the_tree_of_classes():
    drawn = {}
    for line in inspect.getdoc(errors).splitlines():
        if match := re.match(r"[│├└─ ]*── (\w+)(?: (\d{3}))?(?: \((\w+)\))?", line):
            drawn[match[1]] = (match[2] and int(match[2]), match[3])
    kinds = [
        each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.ServegraphError)
    ]
    for kind in kinds:
        if kind is not errors.ServegraphError:
            status, builtin = drawn.pop(kind.__name__)
            assert status is None or kind.status_code == status
            assert _builtin_parent(kind) == builtin
    assert drawn == {}, "drawn, but there is no such class"


def test_the_changelog_tells_this_version():
    version = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["version"]
    assert servegraph.__version__ == version
    assert re.search(rf"^## \[{re.escape(version)}\]", (HOUSE / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_page_is_reached_from_the_index():
    index = (HOUSE / "docs" / "index.md").read_text()
    linked = set(re.findall(r"\]\(([\w./-]+\.md)[)#]", index))
    pages = {str(path.relative_to(HOUSE / "docs")) for path in (HOUSE / "docs").rglob("*.md")} - {"index.md"}
    assert pages <= linked


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_links_between_pages_lead_somewhere(path):
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_what_ci_runs_is_the_test_command():
    script = HOUSE / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()


def test_tests_mirror_the_source():
    """A folder of tests for each folder of the source, but for those that only hold names."""
    rooms = {path.parent.relative_to(SOURCE).parts[0] for path in MODULES if path.parent != SOURCE}
    folders = {path.name for path in (HOUSE / "tests").iterdir() if path.is_dir()}
    assert rooms - folders <= {"compat"}


def _is_first_party(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] == "servegraph"
    return any(alias.name.partition(".")[0] == "servegraph" for alias in node.names)


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module] if node.module and not node.level else []
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def _requirements(package: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """Return what an installed package needs on this machine, with the given extras of its own."""
    try:
        texts = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    wanted = ("", *extras)
    requirements = [Requirement(text) for text in texts]
    return [
        each
        for each in requirements
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted)
    ]


def _closure(package: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of all packages that come with one."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = _requirements(package, extras)
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            waiting += _requirements(*key)
    return {name for name, _ in seen}


def _builtin_parent(kind: type) -> str | None:
    """Return the name of the standard exception beside servegraph's own among the direct parents of an error."""
    named = [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
    return named[0] if named else None
