"""A function as a document: plain data, YAML or JSON, MLRun's exported functions included."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from servegraph.errors import GraphError
from servegraph.function.spec import Build, FunctionSpec, Http, Metadata, generated_name, normalised_name
from servegraph.serve.settings import Settings
from servegraph.sources.atomic import write_text

logger = logging.getLogger("servegraph")

Model = TypeVar("Model")

KIND: Final = "serving"
# Fields whose value stands in a document as it is in the spec.
_PLAIN: Final = (
    "parameters", "default_content_type", "load_mode", "error_stream", "env", "image", "function_refs",
)  # fmt: skip
_KNOWN: Final = frozenset(
    {*_PLAIN, "graph", "default_class", "graph_initializer", "secret_sources", "build", "server", "http"}
)
_ODD_ENDS: Final = re.compile("[\r\x85\u2028\u2029\ufeff]")
# Where MLRun appends its own start-up code to a function's.
_FOOTER: Final = re.compile(r"^from mlrun\.runtimes import nuclio_init_hook$.*", re.MULTILINE | re.DOTALL)


def to_document(metadata: Metadata, spec: FunctionSpec) -> dict[str, Any]:
    """Return a function as plain data; the values of inline secrets stay out of it, only their names are kept."""
    graph = spec.graph
    data: dict[str, Any] = {"graph": graph.to_dict() if graph is not None else None}
    data |= {name: getattr(spec, name) for name in _PLAIN}
    data["default_class"] = _name_of(spec.default_class)
    data["graph_initializer"] = _name_of(spec.graph_initializer)
    data["secret_sources"] = [_without_values(source) for source in spec.secret_sources]
    data["build"] = filled(asdict(spec.build) | _without_folders(spec.build))
    data["server"] = _changed(spec.server, Settings())
    data["http"] = _changed(spec.http, Http())
    if data["load_mode"] == "sync":
        del data["load_mode"]
    return {"kind": KIND, "metadata": filled(asdict(metadata)), "spec": filled(data)}


def from_document(data: Mapping[str, Any], folder: Path | None = None) -> tuple[Metadata, FunctionSpec]:
    """Read a function from plain data; its code's file is looked for in ``folder``. Raises GraphError."""
    kind = data.get("kind")
    if kind != KIND:
        raise GraphError(f"a function document has kind '{KIND}', not {kind!r}", code="kind")
    about, given = _mapping(data, "metadata"), _mapping(data, "spec")
    metadata = Metadata(
        name=normalised_name(about["name"]) if about.get("name") else generated_name(),
        project=about.get("project") or "",
        tag=about.get("tag") or "",
        labels=dict(about.get("labels") or {}),
    )
    spec = FunctionSpec(
        build=_build(_mapping(given, "build"), folder),
        server=_converted("server", given.get("server"), Settings),
        http=_converted("http", given.get("http"), Http),
    )
    for name in _PLAIN:
        if given.get(name) is not None:
            setattr(spec, name, _env(given[name]) if name == "env" else given[name])
    spec.default_class = given.get("default_class") or ""
    spec.graph_initializer = given.get("graph_initializer") or ""
    spec.secret_sources = [dict(source) for source in given.get("secret_sources") or ()]
    spec.graph = given.get("graph") or None
    ignored = sorted(name for name in set(given) - _KNOWN if given[name])
    if ignored:
        logger.debug("function '%s': ignored fields of its spec: %s", metadata.name, ", ".join(ignored))
    return metadata, spec


def parse_document(text: str, where: str) -> dict[str, Any]:
    """Read YAML or JSON text (which is YAML, too); raises GraphError saying where it is wrong."""
    try:
        data = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise GraphError(f"{where} is neither YAML nor JSON: {error}", code="syntax") from error
    if not isinstance(data, dict):
        raise GraphError(f"{where} holds {type(data).__name__}, not a mapping", code="type")
    return data


def write_document(data: Mapping[str, Any], path: Path, format: str = "") -> None:
    """Write plain data as YAML or, for ``.json``, as JSON; a reader sees the old file or the new one, never half."""
    language = (format or path.suffix or ".yaml").lstrip(".").lower()
    if language not in ("yaml", "yml", "json"):
        raise GraphError(f"a function is written as 'yaml' or 'json', not '{language}'", code="format")
    write_text(path, to_json(data) if language == "json" else to_yaml(data))


def to_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML text in which code stays readable."""
    text: str = yaml.dump(_builtins(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def to_json(data: Mapping[str, Any]) -> str:
    """Return plain data as JSON text."""
    try:
        return json.dumps(_builtins(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise GraphError(f"JSON has no infinity and no NaN, write YAML: {error}", code="format") from error


class _Loader(yaml.SafeLoader):
    """Reads plain data; a name that stands twice in a mapping is a fault, where YAML would forget the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Read one mapping."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for name in names:
            if names.count(name) > 1:
                told = f"'{name}' stands twice in one mapping, around line {node.start_mark.line + 1}"
                raise GraphError(told, code="duplicate")
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Line ends that are none in Python would come back as others unless they are escaped.
    style = '"' if _ODD_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def _builtins(data: Mapping[str, Any]) -> Any:
    try:
        return msgspec.to_builtins(data, str_keys=True)
    except (TypeError, NotImplementedError) as error:
        raise GraphError(f"the function holds something that is no plain data: {error}", code="code") from error


def filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data without what is empty."""
    return {name: value for name, value in data.items() if value not in (None, "", [], {})}


def _changed(settings: Any, default: Any) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(settings)
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def _name_of(thing: Any) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__qualname__", type(thing).__name__)


def _without_values(source: Mapping[str, Any]) -> dict[str, Any]:
    values = source.get("source")
    return {**source, "source": sorted(values)} if source.get("kind") == "inline" and values else dict(source)


def _without_folders(build: Build) -> dict[str, str]:
    # A document travels: what it says of files is meant beside itself.
    return {"origin_filename": Path(build.origin_filename).name, "source": "." if build.source else ""}


def _mapping(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, Mapping):
        raise GraphError(f"'{name}' of a function is a mapping, not {type(value).__name__}", code="type")
    return dict(value)


def _env(env: Any) -> dict[str, str]:
    # MLRun writes the environment as Kubernetes does: a list of names and values.
    pairs = env.items() if isinstance(env, Mapping) else [(each["name"], each.get("value")) for each in env]
    return {str(name): str(value) for name, value in pairs if value is not None}


def _build(data: dict[str, Any], folder: Path | None) -> Build:
    code = data.get("code") or ""
    if not code and data.get("functionSourceCode"):
        code = base64.b64decode(data["functionSourceCode"]).decode()
    origin = folder / data["origin_filename"] if folder and data.get("origin_filename") else None
    return Build(
        commands=list(data.get("commands") or ()),
        requirements=list(data.get("requirements") or ()),
        base_image=data.get("base_image") or "",
        source=str((folder or Path()) / data["source"]) if data.get("source") == "." else "",
        code=_FOOTER.sub("", code),
        origin_filename=str(origin) if origin is not None and origin.is_file() else "",
    )


def _converted(name: str, data: Any, model: type[Model]) -> Model:
    try:
        return msgspec.convert(data or {}, model)
    except msgspec.ValidationError as error:
        raise GraphError(f"'{name}' of a function: {error}", code="settings") from error
