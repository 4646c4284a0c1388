"""What ``mlrun``, ``storey`` and their modules hold here: a table for each, name to ``"module:attribute"``.

What graphs name (``"mlrun.serving.ModelRouter"``, ``"storey.Extend"``) comes from the rooms' own tables and is not
repeated: these hold what only programs use.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from servegraph import pipeline
from servegraph.engine.names import LIBRARY

Table: TypeAlias = dict[str, str]

_MLRUN: Final[Table] = {
    "Project": "servegraph.project:Project",
    "code_to_function": "servegraph.function:code_to_function",
    "get_or_create_project": "servegraph.project:get_or_create_project",
    "import_function": "servegraph.function:import_function",
    "load_project": "servegraph.project:load_project",
    "new_function": "servegraph.function:new_function",
    "new_project": "servegraph.project:new_project",
}

_ERRORS: Final[Table] = {
    name: f"servegraph.compat.errors:{name}"
    for name in (
        "MLRunAccessDeniedError",
        "MLRunBadRequestError",
        "MLRunBaseError",
        "MLRunConflictError",
        "MLRunHTTPError",
        "MLRunHTTPStatusError",
        "MLRunInternalServerError",
        "MLRunInvalidArgumentError",
        "MLRunInvalidArgumentTypeError",
        "MLRunMethodNotAllowedError",
        "MLRunNotFoundError",
        "MLRunNotImplementedServerError",
        "MLRunPreconditionFailedError",
        "MLRunRuntimeError",
        "MLRunServiceUnavailableError",
        "MLRunTimeoutError",
        "MLRunUnauthorizedError",
        "MLRunUnprocessableEntityError",
        "MLRunValueError",
        "err_to_status_code",
        "err_to_str",
    )
}

_STATES: Final[Table] = {
    "ErrorStep": "servegraph.graph.spec:ErrorStepSpec",
    "GraphError": "servegraph.errors:GraphError",
    "QueueStep": "servegraph.graph.spec:QueueSpec",
    "RootFlowStep": "servegraph.graph.builder:FlowGraph",
    "RouterStep": "servegraph.graph.builder:RouterGraph",
    "TaskStep": "servegraph.graph.spec:TaskSpec",
}

_SERVER: Final[Table] = {
    "GraphContext": "servegraph.context:Context",
    "GraphServer": "servegraph.serve.mock:MockServer",
    "MockEvent": "servegraph.compat.events:MockEvent",
    "MockTrigger": "servegraph.events:Trigger",
    "Response": "servegraph.compat.events:Response",
}

_SERVING: Final[Table] = {
    **{name: _STATES[name] for name in ("QueueStep", "RouterStep", "TaskStep")},
    **{name: _SERVER[name] for name in ("GraphContext", "GraphServer")},
}

_BY_MODULE: Final[dict[str, Table]] = {
    "mlrun": _MLRUN,
    "mlrun.artifacts": {},
    "mlrun.errors": _ERRORS,
    "mlrun.feature_store": {},
    "mlrun.frameworks": {},
    "mlrun.projects": {"MlrunProject": "servegraph.project:Project"},
    "mlrun.runtimes": {
        "ServingRuntime": "servegraph.function:ServingFunction",
        "nuclio_init_hook": "servegraph.compat.nuclio:nuclio_init_hook",
    },
    "mlrun.serving": _SERVING,
    "mlrun.serving.merger": {},
    "mlrun.serving.remote": {},
    "mlrun.serving.routers": {},
    "mlrun.serving.server": _SERVER,
    "mlrun.serving.states": _STATES,
    "mlrun.serving.steps": {},
    "mlrun.serving.utils": {},
    "mlrun.utils": {"logger": "servegraph.compat.logger:logger"},
    "storey": {},
    "storey.drivers": {},
    "storey.dtypes": {},
    "storey.flow": {},
    "storey.sources": {},
    "storey.steps": {},
    "storey.table": {},
    "storey.targets": {},
}


def _with_library(tables: dict[str, Table]) -> dict[str, Table]:
    """Return the tables with what graphs may name added to the modules of those names, which are made where needed."""
    whole = {module: dict(table) for module, table in tables.items()}
    for name, where in {**LIBRARY, **pipeline.NAMES}.items():
        module, _, attribute = name.rpartition(".")
        if module.partition(".")[0] in ("mlrun", "storey"):
            whole.setdefault(module, {}).setdefault(attribute, where)
    return whole


TABLES: Final[dict[str, Table]] = _with_library(_BY_MODULE)
