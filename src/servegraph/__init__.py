"""servegraph: model serving graphs, from definition to an answer over HTTP."""

from typing import Final

from servegraph.lazy import face

_NAMES: Final = {
    "BadEvent": "servegraph.errors:BadEvent",
    "Context": "servegraph.context:Context",
    "Event": "servegraph.events:Event",
    "EventError": "servegraph.errors:EventError",
    "Fault": "servegraph.errors:Fault",
    "GraphError": "servegraph.errors:GraphError",
    "Project": "servegraph.project:Project",
    "Response": "servegraph.events:Response",
    "ServerError": "servegraph.errors:ServerError",
    "ServingFunction": "servegraph.function:ServingFunction",
    "Settings": "servegraph.serve.settings:Settings",
    "__version__": "servegraph.version:__version__",
    "asgi": "servegraph.function:asgi",
    "code_to_function": "servegraph.function:code_to_function",
    "errors": "servegraph.errors",
    "get_or_create_project": "servegraph.project:get_or_create_project",
    "import_function": "servegraph.function:import_function",
    "load_project": "servegraph.project:load_project",
    "new_function": "servegraph.function:new_function",
    "new_project": "servegraph.project:new_project",
    "serving": "servegraph.serving",
    "storey": "servegraph.storey",
}

__all__ = sorted(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
