"""DO: the step library; knows events, nothing of graphs."""

from typing import Final

_STOREY: Final = {
    "Choice": "basic",
    "Extend": "basic",
    "Filter": "basic",
    "FlatMap": "basic",
    "Flatten": "basic",
    "ForEach": "basic",
    "Map": "basic",
    "MapClass": "basic",
}

NAMES: Final[dict[str, str]] = {
    **{f"storey.{name}": f"servegraph.steps.{module}:{name}" for name, module in _STOREY.items()},
    **{f"servegraph.storey.{name}": f"servegraph.steps.{module}:{name}" for name, module in _STOREY.items()},
    "storey.steps.Flatten": "servegraph.steps.basic:Flatten",
    "storey.steps.ForEach": "servegraph.steps.basic:ForEach",
    "Gather": "servegraph.steps.basic:Gather",
}
"""The names by which graphs ask for steps: name to ``"module:attribute"``."""
