"""Bodies that are easy to get wrong, each by a name: those that requests can carry, and those that only steps make."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any, Final

import numpy as np
import pandas as pd


def nested(levels: int) -> Any:
    """Return lists and objects inside each other."""
    body: Any = 0
    for level in range(levels):
        body = [body] if level % 2 else {"a": body}
    return body


REQUESTS: Final[dict[str, Any]] = {
    "zero": 0,
    "empty text": "",
    "empty object": {},
    "empty list": [],
    "false": False,
    "null inside": {"a": None, "b": [None]},
    "number": 1.5,
    "smallest number": 5e-324,
    "text": "plain words",
    "unicode": {"k\u00e9y \u6f22\u5b57": '\u00e9 \U0001f600 \u0000 \u2028 \\ " / \x7f'},
    "big integers": [2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)],
    "bigger integers": [2**64, -(2**63) - 1, 10**30],
    "500 deep": nested(500),
    "5 MB": {"rows": [[0.1 + row, row, "x" * 20] for row in range(130_000)]},
    "many keys": {f"key {number}": number for number in range(5000)},
}
"""What JSON can carry as it is."""

ANSWERS: Final[dict[str, Any]] = {
    **REQUESTS,
    "none": None,
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "array of integers": np.arange(3, dtype=np.uint8),
    "transposed array": np.arange(6).reshape(2, 3).T,
    "array without dimensions": np.array(1.5),
    "array of times": np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"),
    "array of text": np.array(["a", "b"]),
    "scalars": [np.float32(0.5), np.int64(-3), np.bool_(True), np.float16(2)],
    "datetime": datetime.datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC),
    "plain datetime": {"at": datetime.datetime(2020, 1, 2)},
    "date and duration": [datetime.date(2020, 1, 2), datetime.timedelta(minutes=1)],
    "bytes": b"\x00\xff raw",
    "bytes inside": {"data": [b"\x00\xff", bytearray(b"x")]},
    "tuple": (1, (2, "three")),
    "not numbers": [math.nan, math.inf, -math.inf, {"a": np.float64("nan")}],
    "decimal and uuid": [decimal.Decimal("1.10"), uuid.UUID(int=7)],
    "keys of many kinds": {1: "a", 2.5: "b", uuid.UUID(int=1): "c", None: "d"},
    "set": {3, 1, 2},
    "frame": pd.DataFrame({"x": [1, 2], "y": ["a", None], "t": pd.to_datetime(["2020-01-01", None])}),
    "series": pd.Series([1.5, math.nan], name="s"),
}
"""What steps may answer with: all of the above and what Python programs hold."""
