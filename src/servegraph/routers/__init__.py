"""Routers, by the names graphs use for them."""

NAMES: dict[str, str] = {
    "ModelRouter": "servegraph.routers.model:ModelRouter",
    "servegraph.serving.ModelRouter": "servegraph.routers.model:ModelRouter",
    "mlrun.serving.ModelRouter": "servegraph.routers.model:ModelRouter",
    "mlrun.serving.routers.ModelRouter": "servegraph.routers.model:ModelRouter",
    "mlrun.serving.routers.BaseModelRouter": "servegraph.routers.model:ModelRouter",
}
"""Name to ``"module:attribute"``."""
