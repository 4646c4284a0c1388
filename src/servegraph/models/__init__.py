"""Model servers, by the names graphs use for them."""

NAMES: dict[str, str] = {
    "V2ModelServer": "servegraph.models.server:V2ModelServer",
    "servegraph.serving.V2ModelServer": "servegraph.models.server:V2ModelServer",
    "mlrun.serving.V2ModelServer": "servegraph.models.server:V2ModelServer",
    "mlrun.serving.v2_serving.V2ModelServer": "servegraph.models.server:V2ModelServer",
    "SKLearnModelServer": "servegraph.models.sklearn:SKLearnModelServer",
    "mlrun.frameworks.sklearn.SKLearnModelServer": "servegraph.models.sklearn:SKLearnModelServer",
}
"""Name to ``"module:attribute"``."""
