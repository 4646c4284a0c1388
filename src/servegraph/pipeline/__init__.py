"""EMIT: flows that a program feeds itself, event by event, over the engine that serves graphs."""

from typing import Final

# Each name with the module it is in here, and the one that storey's users know it by.
_MODULES: Final = {
    "AsyncEmitSource": ("sources", "sources"),
    "AsyncFlowController": ("awaited", "sources"),
    "AwaitableResult": ("results", "sources"),
    "Context": ("parameters", "flow"),
    "DataframeSource": ("frames", "sources"),
    "Event": ("event", "dtypes"),
    "FlowController": ("threaded", "sources"),
    "SyncEmitSource": ("sources", "sources"),
    "build_flow": ("define", "flow"),
}

NAMES: Final[dict[str, str]] = {
    **{
        f"{prefix}.{name}": f"servegraph.pipeline.{module}:{name}"
        for name, (module, home) in _MODULES.items()
        for prefix in ("storey", f"storey.{home}", "servegraph.storey")
    },
    **{
        f"{prefix}.FlowError": "servegraph.errors:EventError"
        for prefix in ("storey", "storey.dtypes", "servegraph.storey")
    },
}
"""The names that programs import and graphs do not use: name to ``"module:attribute"``."""
