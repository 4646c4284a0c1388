"""Making functions: new ones, from a file of code, from a document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from servegraph.errors import ArtifactError, GraphError, nearest
from servegraph.function.documents import KIND, parse_document
from servegraph.function.serving_function import ServingFunction
from servegraph.function.spec import normalised_name
from servegraph.graph.builder import load_graph
from servegraph.sources.cells import running_cells
from servegraph.sources.load import existing, read_code
from servegraph.sources.marks import IGNORED_TAGS, marked_code

DOCUMENTS: Final = (".yaml", ".yml", ".json")
CODE: Final = (".py", ".ipynb")
_STORES: Final = ("hub", "db", "store")
_TIMEOUT: Final = 30.0


def new_function(
    name: str = "",
    project: str = "",
    tag: str = "",
    kind: str = KIND,
    command: str = "",
    image: str = "",
    args: Sequence[str] | None = None,
    runtime: Mapping[str, Any] | None = None,
    mode: str | None = None,
    handler: str | None = None,
    source: str | None = None,
    requirements: Sequence[str] | str = (),
    kfp: bool | None = None,
    requirements_file: str = "",
) -> ServingFunction:
    """Return a new function; ``command`` is a ``.py`` or ``.ipynb`` file with its code, ``runtime`` its document.

    ``args``, ``mode``, ``source`` and ``kfp`` are for the jobs of MLRun and refused here. Raises GraphError.
    """
    check_kind(kind or KIND)
    _refuse(args=args, mode=mode, source=source, kfp=kfp)
    if handler:
        raise GraphError("a serving function has no handler: its graph says what runs", code="handler")
    function = ServingFunction.from_dict(runtime) if runtime else ServingFunction(name)
    if command:
        function.with_code(from_file=command)
    return _described(function, name, project, tag, image, requirements, requirements_file)


def code_to_function(
    name: str = "",
    project: str = "",
    tag: str = "",
    filename: str = "",
    handler: str = "",
    kind: str = KIND,
    image: str | None = None,
    code_output: str = "",
    embed_code: bool = True,
    description: str = "",
    requirements: Sequence[str] | str | None = None,
    categories: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    with_doc: bool = True,
    ignored_tags: str | None = None,
    requirements_file: str = "",
) -> ServingFunction:
    """Return a function with the code of a ``.py`` or ``.ipynb`` file, or of the notebook that is running.

    ``ignored_tags`` (parted by ``;``) replace the tags of cells that are left out; ``code_output`` is a file to which
    the code is written. ``description``, ``categories`` and ``with_doc`` are taken and not used. Raises GraphError.
    """
    check_kind(kind or KIND)
    if handler:
        raise GraphError("a serving function has no handler: its graph says what runs", code="handler")
    if not embed_code:
        raise GraphError("embed_code=False needs a source archive, which only a cluster can fetch", code="code")
    tags = frozenset(ignored_tags.split(";")) if ignored_tags is not None else IGNORED_TAGS
    function = ServingFunction(name or Path(filename).stem)
    build = function.spec.build
    build.code = _code(filename, function.metadata.name, tags)
    build.origin_filename = str(Path(filename).resolve()) if filename else ""
    if code_output:
        Path(code_output).write_text(build.code, encoding="utf-8")
    function.metadata.labels = dict(labels or {})
    return _described(function, "", project, tag, image or "", requirements or (), requirements_file)


def import_function(url: str = "", project: str = "", new_name: str = "") -> ServingFunction:
    """Return the function whose document (YAML or JSON, MLRun's included) is at a path, ``file://`` or ``http(s)://``.

    A document that is a bare graph becomes a function named after its file. Raises FileNotFoundError, ArtifactError
    where it cannot be fetched, GraphError where it is no function.
    """
    scheme = urlsplit(url).scheme.lower() if "://" in url else "file"
    if scheme in _STORES:
        raise GraphError(
            f"'{url}' is kept by an MLRun service, which is not asked here: export it there "
            "(fn.export('function.yaml')) and import the file",
            code="url",
        )
    path = Path(unquote(urlsplit(url).path)) if "://" in url else Path(url)
    folder = None
    if scheme == "file":
        folder = existing(path).resolve().parent
        text = path.read_text(encoding="utf-8")
    elif scheme in ("http", "https"):
        text = _fetched(url)
    else:
        raise GraphError(f"cannot import a function from '{scheme}://': use a path, file:// or http(s)://", code="url")
    data = parse_document(text, url)
    function = _from_graph(data, path.stem) if _is_graph(data) else ServingFunction.from_dict(data, folder)
    if new_name:
        function.metadata.name = normalised_name(new_name)
    function.metadata.project = project or function.metadata.project
    return function


def check_kind(kind: str) -> None:
    """Raise GraphError unless functions of this kind are what servegraph is for."""
    if kind != KIND:
        hint = nearest(kind, [KIND])
        raise GraphError(f"servegraph has functions of kind '{KIND}' only, not '{kind}'{hint}", code="kind")


def _refuse(**given: Any) -> None:
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise GraphError(f"{', '.join(wrong)} belongs to jobs, a serving function does not take it", code="keyword")


def _described(
    function: ServingFunction,
    name: str,
    project: str,
    tag: str,
    image: str,
    requirements: Sequence[str] | str,
    requirements_file: str,
) -> ServingFunction:
    about, spec = function.metadata, function.spec
    about.name = normalised_name(name) if name else about.name
    about.project, about.tag = project or about.project, tag or about.tag
    spec.image = image or spec.image
    if requirements or requirements_file:
        function.with_requirements(requirements, requirements_file=requirements_file)
    return function


def _code(filename: str, name: str, tags: Collection[str]) -> str:
    if filename:
        if not filename.endswith(CODE):
            raise GraphError(f"code comes from a .py or .ipynb file, not from '{filename}'", code="code")
        return read_code(filename, name, tags)
    cells = running_cells()
    if not cells:
        raise GraphError("code_to_function needs a filename: this is no notebook", code="code")
    return marked_code(cells, name, tags, repeats=True)


def _is_graph(data: Mapping[str, Any]) -> bool:
    return "spec" not in data and ("steps" in data or "routes" in data)


def _from_graph(data: Mapping[str, Any], name: str) -> ServingFunction:
    function = ServingFunction(name)
    function.spec.graph = load_graph(dict(data))
    return function


def _fetched(url: str) -> str:
    import httpx

    try:
        answer = httpx.get(url, timeout=_TIMEOUT, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ArtifactError(f"cannot fetch '{url}': {error}") from error
    return answer.text
