"""What stands in JSON for the values that JSON does not have."""

from __future__ import annotations

import base64
import datetime
import decimal
import pathlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, KeysView, Mapping, Set, ValuesView
from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson

# The kinds of numpy arrays that orjson writes as they are: bool, int, unsigned, float.
_NUMBERS: Final = "biuf"
_TIMES: Final = "mM"


def translate(value: Any) -> Any:
    """Return what orjson can write instead of a value that it cannot; raises TypeError where nothing is."""
    return _translator(type(value))(value)  # type: ignore[arg-type]  # mypy denies that types are hashable


# The bound keeps classes that users define again and again (in notebooks, on reload) from piling up.
@lru_cache(maxsize=256)
def _translator(kind: type) -> Callable[[Any], Any]:
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic) and not issubclass(kind, bytes):
        return _from_scalar
    for kinds, translator in _TRANSLATORS:
        if issubclass(kind, kinds):
            return translator
    if numpy is not None and issubclass(kind, numpy.ndarray):
        return _from_array
    pandas = sys.modules.get("pandas")
    return _pandas_translator(kind, pandas) if pandas is not None else _refuse


def _pandas_translator(kind: type, pandas: Any) -> Callable[[Any], Any]:
    if issubclass(kind, pandas.DataFrame):
        return _from_table
    if issubclass(kind, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray):
        return _from_column
    if issubclass(kind, pandas.Period | pandas.Interval):
        return str
    return _nothing if issubclass(kind, type(pandas.NA)) else _refuse


def _refuse(value: Any) -> Any:
    raise TypeError(type(value).__name__)


def _nothing(value: Any) -> None:
    return None


def _from_bytes(value: Any) -> str:
    return base64.b64encode(value).decode()


def _from_set(values: Iterable[Any]) -> list[Any]:
    """Return a list in the same order in every process, where the members of the set can be compared."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _from_time(moment: datetime.datetime) -> str | None:
    # The missing time of pandas is a datetime that equals nothing.
    return moment.isoformat() if moment == moment else None


def _from_duration(duration: datetime.timedelta) -> float | None:
    return duration.total_seconds() if duration == duration else None


def _from_struct(struct: msgspec.Struct) -> dict[str, Any]:
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    plain = {written: getattr(struct, name) for written, name in names}
    config = struct.__struct_config__
    return plain if config.tag is None else {str(config.tag_field): config.tag, **plain}


def _from_scalar(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "f":
        return float(value)  # the widest float of numpy is its own item
    if kind == "c":
        _refuse(value)
    return value.astype(f"{kind}8[us]").item() if kind in _TIMES else value.item()


def _from_array(array: Any) -> Any:
    kind = array.dtype.kind
    if kind in _NUMBERS:
        try:
            return orjson.Fragment(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
        except TypeError:  # not contiguous, without dimensions, or of a width or byte order that orjson lacks
            return array.tolist()
    if kind == "c":
        _refuse(array)
    # numpy counts nanoseconds as plain integers, and orjson writes a missing time as one of the year 1677.
    return array.astype(f"{kind}8[us]").tolist() if kind in _TIMES else array.tolist()


def _from_table(table: Any) -> Any:
    return table.to_dict("records")


def _from_column(column: Any) -> Any:
    return column.tolist()


_TRANSLATORS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    ((bytes, bytearray, memoryview), _from_bytes),
    ((tuple, list, deque, range, KeysView, ValuesView), list),
    (Mapping, dict),
    (Set, _from_set),
    (datetime.datetime, _from_time),
    (datetime.timedelta, _from_duration),
    (msgspec.Struct, _from_struct),
    ((decimal.Decimal, pathlib.PurePath), str),
)
