"""Steps that change the values of features: MapValues, Imputer, OneHotEncoder."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, TypeAlias, Unpack

from servegraph.errors import nearest
from servegraph.steps.base import Options
from servegraph.steps.rows import Row, RowStep, is_missing

_Lookup: TypeAlias = Callable[[Any], Any]


class MapValues(RowStep):
    """Replaces values of features by others: one by one, or by ranges (``low <= value < high``).

    A value without a new one stays. What goes on are the mapped features; all of them, and the new values as
    ``<feature>_mapped``, with ``with_original_features``.
    """

    QUICK = True

    def __init__(
        self,
        mapping: Mapping[str, Mapping[Any, Any]],
        with_original_features: bool = False,
        suffix: str = "mapped",
        **options: Unpack[Options],
    ) -> None:
        """Take ``{feature: {old: new}}`` or ``{feature: {"ranges": {new: [low, high]}}}``; ``"-inf"``, ``"inf"`` work.

        Raises ValueError for ranges beside single values, or that overlap. A number also finds an old value that is
        its text, as keys are in JSON.
        """
        super().__init__(**options)
        self.mapping = {feature: dict(values) for feature, values in mapping.items()}
        self.with_original_features = with_original_features
        self.suffix = suffix
        self._lookups = {feature: _lookup(feature, values) for feature, values in self.mapping.items()}

    def row(self, row: Row) -> Row:
        """Return the row with mapped values."""
        mapped = {feature: find(row[feature]) for feature, find in self._lookups.items() if feature in row}
        if not self.with_original_features:
            return mapped
        return {**row, **{f"{feature}_{self.suffix}": value for feature, value in mapped.items()}}


def _lookup(feature: str, values: dict[Any, Any]) -> _Lookup:
    if "ranges" not in values:
        return lambda value: _single(values, value)
    if len(values) > 1:
        raise ValueError(f"the mapping of '{feature}' has both ranges and single values")
    ranges = [(_bound(feature, low), _bound(feature, high), new) for new, (low, high) in values["ranges"].items()]
    ranges.sort(key=lambda each: each[:2])
    for (_, high, one), (low, _, other) in itertools.pairwise(ranges):
        if low < high:
            raise ValueError(f"the ranges '{one}' and '{other}' of '{feature}' overlap")
    return lambda value: next((new for low, high, new in ranges if _within(value, low, high)), value)


def _single(values: dict[Any, Any], value: Any) -> Any:
    if not isinstance(value, Hashable):
        return value
    if value in values:
        return values[value]
    return values.get(str(value), value) if type(value) in (int, float) else value


def _within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value < high


def _bound(feature: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"a range of '{feature}' begins or ends at {value!r}, which is no number") from None


_METHODS: Final = ("avg", "mean", "min", "max", "last")


class Imputer(RowStep):
    """Fills in what is missing (``None`` or NaN) of the features that are there.

    By ``mapping`` where that names the feature, else by ``default_value``, else by what the feature was so far: its
    mean (``avg``), ``min``, ``max`` or ``last`` value; before there was any, it stays missing.
    """

    QUICK = True

    def __init__(
        self,
        method: str = "avg",
        default_value: Any = None,
        mapping: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take how to fill in; raises ValueError for a method there is not."""
        super().__init__(**options)
        if method not in _METHODS:
            raise ValueError(f"Imputer has no method '{method}', it has {', '.join(_METHODS)}"
                             f"{nearest(method, _METHODS)}")  # fmt: skip
        self.method = method
        self.default_value = default_value
        self.mapping = dict(mapping or {})
        self._lock = threading.Lock()
        self.post_init()

    def post_init(self, mode: str = "sync") -> None:
        """Forget what was so far."""
        self._seen: dict[str, _Seen] = {}

    def row(self, row: Row) -> Row:
        """Return the row with nothing missing that can be filled in."""
        if self.default_value is not None:
            return {name: self._fixed(name) if is_missing(value) else value for name, value in row.items()}
        with self._lock:  # on the callers' own threads, calls may overlap
            return {name: self._filled(name, value) for name, value in row.items()}

    def _fixed(self, name: str) -> Any:
        return self.mapping.get(name, self.default_value)

    def _filled(self, name: str, value: Any) -> Any:
        if name in self.mapping:
            return self.mapping[name] if is_missing(value) else value
        seen = self._seen.get(name)
        if is_missing(value):
            return value if seen is None else seen.tell(self.method)
        if self.method == "last" or (isinstance(value, int | float) and type(value) is not bool):
            if seen is None:
                seen = self._seen[name] = _Seen(value)
            seen.note(value)
        return value


class _Seen:
    """What a feature was so far."""

    __slots__ = ("count", "last", "max", "mean", "min")

    def __init__(self, value: Any) -> None:
        self.count = 0
        self.mean: float = 0.0
        self.min = self.max = self.last = value

    def note(self, value: Any) -> None:
        self.last = value
        if isinstance(value, int | float) and math.isfinite(value):
            self.count += 1
            self.mean += (value - self.mean) / self.count
            self.min, self.max = min(self.min, value), max(self.max, value)

    def tell(self, method: str) -> Any:
        if method in ("avg", "mean"):
            return self.mean if self.count else None
        return getattr(self, method)


class OneHotEncoder(RowStep):
    """Replaces a feature by one of 0 or 1 for each of its categories, named ``<feature>_<category>``.

    A value that is none of them gives zeros, and one warning for each feature.
    """

    QUICK = True

    def __init__(self, mapping: Mapping[str, Sequence[int | str]], **options: Unpack[Options]) -> None:
        """Take the categories of each feature; spaces and ``-`` become ``_`` in names.

        Raises TypeError for a category that is neither a whole number nor text, ValueError for two of one name.
        """
        super().__init__(**options)
        self.mapping = {feature: list(categories) for feature, categories in mapping.items()}
        self._columns = {feature: _columns(feature, categories) for feature, categories in self.mapping.items()}
        self._warned: set[str] = set()

    def row(self, row: Row) -> Row:
        """Return the row with columns for categories."""
        new: Row = {}
        for name, value in row.items():
            columns = self._columns.get(name)
            if columns is None:
                new[name] = value
                continue
            if value not in self.mapping[name]:
                self._warn(name, value)
            new.update((column, int(value == category)) for category, column in columns.items())
        return new

    def _warn(self, feature: str, value: Any) -> None:
        if feature not in self._warned and self.context is not None:
            self._warned.add(feature)
            self.context.logger.warning(f"OneHotEncoder: '{feature}' is {value!r}, which is none of its categories")


def _columns(feature: str, categories: list[int | str]) -> dict[int | str, str]:
    columns: dict[int | str, str] = {}
    for category in categories:
        if type(category) not in (int, str):
            raise TypeError(f"a category of '{feature}' must be a whole number or text, not {category!r}")
        name = f"{feature}_{str(category).replace(' ', '_').replace('-', '_')}"
        other = next((each for each, column in columns.items() if column == name), None)
        if other is not None:
            raise ValueError(f"the categories {other!r} and {category!r} of '{feature}' would both be named '{name}'")
        columns[category] = name
    return columns
