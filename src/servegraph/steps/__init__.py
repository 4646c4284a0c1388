"""DO: the step library; knows events, nothing of graphs."""

from typing import Final

_FLOW: Final = {
    "Batch": "batch",
    "Choice": "choose",
    "Complete": "recover",
    "ConcurrentExecution": "concurrent",
    "DropColumns": "fields",
    "Extend": "functions",
    "Filter": "functions",
    "FlatMap": "functions",
    "HttpRequest": "send",
    "HttpResponse": "send",
    "Map": "functions",
    "MapClass": "classes",
    "MapWithState": "state",
    "ParallelExecution": "parallel",
    "ParallelExecutionRunnable": "parallel",
    "Recover": "recover",
    "Reduce": "state",
    "ReifyMetadata": "fields",
    "Rename": "fields",
    "SendToHttp": "send",
}
_STEPS: Final = {
    "Assert": "check",
    "Collector": "collect",
    "EmitPeriod": "batch",
    "Flatten": "functions",
    "ForEach": "functions",
    "Partition": "choose",
    "SampleWindow": "batch",
}
_FRAMES: Final = {"ReduceToDataFrame": "frames", "ToDataFrame": "frames"}
_SERVING: Final = {"ChoiceByField": "choose", "Gather": "collect", "Merge": "merge"}
_FEATURES: Final = {
    "DateExtractor": "dates",
    "DropFeatures": "fields",
    "FeaturesetValidator": "validate",
    "Imputer": "values",
    "MapValues": "values",
    "OneHotEncoder": "values",
    "SetEventMetadata": "fields",
}


def _under(prefix: str, table: dict[str, str]) -> dict[str, str]:
    return {f"{prefix}.{name}": f"servegraph.steps.{module}:{name}" for name, module in table.items()}


NAMES: Final[dict[str, str]] = {
    **_under("storey", {**_FLOW, **_STEPS, **_FRAMES}),
    **_under("storey.flow", _FLOW),
    **_under("storey.steps", _STEPS),
    **_under("storey.dataframe", _FRAMES),
    **_under("servegraph.storey", {**_FLOW, **_STEPS, **_FRAMES}),
    **_under("mlrun.serving", _SERVING),
    **_under("mlrun.serving.steps", {"ChoiceByField": "choose"}),
    **_under("mlrun.serving.merger", {"Merge": "merge"}),
    **_under("mlrun.feature_store.steps", _FEATURES),
    **_under("servegraph.serving", {**_SERVING, **_FEATURES}),
    "Gather": "servegraph.steps.collect:Gather",
}
"""The names by which graphs ask for steps: name to ``"module:attribute"``."""
