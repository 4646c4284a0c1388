"""A model server for what scikit-learn saves: pickle and joblib files, checked before they are opened."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Final

from servegraph.artifacts import is_local
from servegraph.artifacts.urls import public
from servegraph.context import Context
from servegraph.errors import ArtifactError, BadEvent, GraphError, MissingExtra, Unsupported
from servegraph.events import Event
from servegraph.models.requests import rows_from_dicts
from servegraph.models.server import V2ModelServer

_SUFFIXES: Final = (".pkl", ".pickle", ".joblib")
# Packages that the extra [sklearn] brings; the lack of any other is told as it is.
_EXTRA: Final = frozenset({"sklearn", "joblib", "numpy", "scipy", "cloudpickle"})


class SKLearnModelServer(V2ModelServer):
    """Serves a scikit-learn model or pipeline from a ``.pkl``, ``.pickle`` or ``.joblib`` file.

    Opening such a file runs code that is in it. With ``sha256`` it is only opened when it is the one promised; a file
    from another machine needs that, or ``trust=True``. ``method`` is what answers ``infer``, such as
    ``"predict_proba"``. Inputs are rows of numbers, or dicts by column for models that were trained on a table.
    """

    platform: ClassVar[str] = "sklearn"

    def __init__(
        self,
        context: Context | None = None,
        name: str | None = None,
        model_path: str | None = None,
        model: Any = None,
        protocol: str | None = None,
        input_path: str | None = None,
        result_path: str | None = None,
        *,
        method: str = "predict",
        sha256: str | None = None,
        trust: bool = False,
        **kwargs: Any,
    ) -> None:
        """Describe the model; it is loaded by ``post_init``."""
        super().__init__(context, name, model_path, model, protocol, input_path, result_path, sha256=sha256, **kwargs)
        self.method = method
        self.sha256 = sha256
        self.trust = trust
        self._make_table: Callable[[list[Any]], Any] | None = None
        self._make_array: Callable[[list[Any]], Any] = list

    def load(self) -> None:
        """Open the file; raises ArtifactError where that is not safe, MissingExtra where scikit-learn is missing."""
        if self.model is None:
            self.model = self._opened()
        if not callable(getattr(self.model, self.method, None)):
            told = f"model '{self.name}' ({type(self.model).__name__}) has no method '{self.method}'"
            raise GraphError(told, self.name, "method")
        if not self.input_schema:
            self.input_schema = _schema_of(self.model)
        self._prepare_tables()

    def predict(self, request: dict[str, Any]) -> Any:
        """Return what the model's method says of each row."""
        return self._run(self.method, request)

    def op_predict_proba(self, event: Event) -> Any:
        """Answer like ``infer``, with the probability of each class for each row."""
        return self._answer(event, "predict_proba", self._probabilities)

    def op_classes(self, event: Event) -> dict[str, Any]:
        """Return the classes in the order of their probabilities."""
        classes = getattr(self.model, "classes_", None)
        if classes is None:
            raise Unsupported(f"model '{self.name}' has no classes: it does not classify")
        return {"classes": classes.tolist()}

    def _probabilities(self, request: dict[str, Any]) -> Any:
        if not hasattr(self.model, "predict_proba"):
            raise Unsupported(f"model '{self.name}' ({type(self.model).__name__}) knows no probabilities")
        return self._run("predict_proba", request)

    def _run(self, method: str, request: dict[str, Any]) -> Any:
        rows = request[self._key]
        if not rows:
            return []
        if isinstance(rows[0], dict):
            rows = rows_from_dicts(request, self._key, self.input_schema, self.name)[self._key]
        run: Callable[[Any], Any] = getattr(self.model, method)
        return run(self._table(rows)).tolist()

    def _table(self, rows: list[Any]) -> Any:
        """Return rows as what the model was fitted on: a table with its columns, or an array."""
        width = getattr(self.model, "n_features_in_", None)
        if width is not None and not all(isinstance(row, list | tuple) and len(row) == width for row in rows):
            raise BadEvent(f"model '{self.name}' takes \"inputs\" as a list of rows of {width} values")
        if self._make_table is not None:
            return self._make_table(rows)
        try:
            return self._make_array(rows)
        except ValueError as error:
            raise BadEvent(f"model '{self.name}': \"inputs\" do not form an array: {error}") from error

    def _prepare_tables(self) -> None:
        """Choose how rows become what the model was fitted on; without pandas its columns are only counted."""
        import numpy

        self._make_array = numpy.asarray
        columns = getattr(self.model, "feature_names_in_", None)
        if columns is not None:
            try:
                import pandas
            except ImportError:
                return
            self._make_table = functools.partial(pandas.DataFrame, columns=columns)

    def _opened(self) -> Any:
        if not self.model_path:
            raise GraphError(f"model '{self.name}' needs model_path= or model=", self.name, "model_path")
        if not (is_local(self.model_path) or self.sha256 or self.trust):
            raise ArtifactError(
                f"'{public(self.model_path)}' comes from another machine, and opening a pickle runs the code in it: "
                "give its digest as sha256=, or say trust=True"
            )
        path, _ = self.get_model(_SUFFIXES)
        try:
            import joblib  # type: ignore[import-untyped]

            return joblib.load(path)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _EXTRA:
                raise MissingExtra(f"model '{self.name}'", "sklearn") from error
            raise


def _schema_of(model: Any) -> list[dict[str, Any]]:
    """Return what a fitted model takes: its columns where it was fitted on a table, else rows of so many numbers."""
    columns = getattr(model, "feature_names_in_", None)
    if columns is not None:
        return [{"name": str(column), "datatype": "FP64", "shape": [-1]} for column in columns]
    width = getattr(model, "n_features_in_", None)
    return [{"name": "inputs", "datatype": "FP64", "shape": [-1, width]}] if width is not None else []
