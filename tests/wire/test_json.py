import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import subprocess
import sys
import uuid

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.errors import BadEvent, StepError
from servegraph.wire.json import dumps, is_json, loads


class Colour(enum.Enum):
    RED = "red"


class Row(msgspec.Struct):
    values: object
    raw: bytes = b"ab"


class Tagged(msgspec.Struct, tag="row", rename="camel"):
    some_value: int


@dataclasses.dataclass
class Point:
    x: object
    y: object = 0


Pair = collections.namedtuple("Pair", "left right")

WRITTEN = [
    (np.float32(1.5), "1.5"),
    (np.int64(3), "3"),
    (np.bool_(True), "true"),
    (np.str_("x"), '"x"'),
    (np.bytes_(b"x"), '"eA=="'),
    (np.longdouble(1), "1.0"),
    (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    (np.array([[1, 2], [3, 4]])[:, 0], "[1,3]"),
    (np.array(3), "3"),
    (np.array([1, 2], dtype=">i4"), "[1,2]"),
    (np.array([np.nan, np.inf, 1.0]), "[null,null,1.0]"),
    (np.array(["a", None], dtype=object), '["a",null]'),
    (np.array(["2020-01-01", "NaT"], dtype="M8[ns]"), '["2020-01-01T00:00:00",null]'),
    (np.datetime64("2020-01-01T01:02:03.5", "ns"), '"2020-01-01T01:02:03.500000"'),
    (np.datetime64("NaT"), "null"),
    (np.array([1500], dtype="m8[ms]"), "[1.5]"),
    (pd.Timestamp("2020-01-01", tz="UTC"), '"2020-01-01T00:00:00+00:00"'),
    (pd.NaT, "null"),
    (pd.NA, "null"),
    (pd.Series([1.5, None]), "[1.5,null]"),
    (pd.Index([1, 2]), "[1,2]"),
    (pd.Categorical(["a", "b"]), '["a","b"]'),
    (pd.array([1, None], dtype="Int64"), "[1,null]"),
    (pd.Timedelta(1, "s"), "1.0"),
    (pd.Period("2020", "Y"), '"2020"'),
    (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), '[{"a":1,"b":"x"},{"a":2,"b":null}]'),
    (datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), '"2020-01-01T00:00:00+00:00"'),
    (datetime.date(2020, 1, 1), '"2020-01-01"'),
    (datetime.timedelta(minutes=1), "60.0"),
    (b"abc", '"YWJj"'),
    (bytearray(b"abc"), '"YWJj"'),
    (memoryview(b"abc"), '"YWJj"'),
    ((1, 2), "[1,2]"),
    (Pair(1, 2), "[1,2]"),
    ({3, 1, 2}, "[1,2,3]"),
    (frozenset("a"), '["a"]'),
    (collections.deque([1]), "[1]"),
    (range(2), "[0,1]"),
    ({"b": 1, "a": 2}.keys(), '["b","a"]'),
    (decimal.Decimal("1.10"), '"1.10"'),
    (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (pathlib.PurePosixPath("a/b"), '"a/b"'),
    (Colour.RED, '"red"'),
    (Point(np.arange(2)), '{"x":[0,1],"y":0}'),
    (Row(np.arange(2)), '{"values":[0,1],"raw":"YWI="}'),
    (Tagged(1), '{"type":"row","someValue":1}'),
    ({1: "a", None: "b", Colour.RED: "c"}, '{"1":"a","null":"b","red":"c"}'),
    ({np.int64(1): 2}, '{"1":2}'),
    (2**70, "1180591620717411303424"),
    ({"a": [2**70, math.nan, {"b": (True, None)}]}, '{"a":[1180591620717411303424,null,{"b":[true,null]}]}'),
    ({2**70: Point(2**70)}, '{"1180591620717411303424":{"x":1180591620717411303424,"y":0}}'),
    ("\ud800", '"\\ud800"'),
    (math.nan, "null"),
    ({"a": -math.inf}, '{"a":null}'),
    (0, "0"),
    ("", '""'),
    ({}, "{}"),
    ([], "[]"),
    (None, "null"),
]


@pytest.mark.parametrize(
    ("body", "text"), WRITTEN, ids=[f"{number}-{type(body).__name__}" for number, (body, _) in enumerate(WRITTEN)]
)
def test_what_steps_return_becomes_json(body, text):
    assert dumps(body).decode() == text
    assert dumps({"in": [body]}).decode() == f'{{"in":[{text}]}}'


REFUSED = [
    (object(), "type object at $;"),
    ({"a": [1, {"b": (1, len)}]}, "type builtin_function_or_method at $.a[1].b[1];"),
    ({"a": {1: {2: object}}}, "type type at $.a.1.2;"),
    ({"rows": (each for each in "ab")}, "type generator at $.rows;"),
    ({"a": {(1, 2): 3}}, "a key of type tuple at $.a;"),
    ({"z": 1j}, "type complex at $.z;"),
    ([np.array([1j])], "type numpy.ndarray at $[0];"),
    (Point(len), "type builtin_function_or_method at $.x;"),
    ([2**70, object()], "type object at $[1];"),
]


@pytest.mark.parametrize(("body", "told"), REFUSED, ids=[told.partition(" at ")[0] for _, told in REFUSED])
def test_what_cannot_be_written_is_named_with_its_place(body, told):
    with pytest.raises(StepError) as caught:
        dumps(body)
    assert told in str(caught.value)


def test_a_body_that_contains_itself_is_an_error_and_no_endless_loop():
    body = {}
    body["body"] = body
    with pytest.raises(StepError, match="contains itself"):
        dumps(body)


def nested(levels):
    body = 1
    for _ in range(levels):
        body = [body]
    return body


@pytest.mark.parametrize("levels", [100, 254, 300, 1024])
def test_as_deep_as_bodies_come_in_they_go_out(levels):
    text = b"[" * levels + b"1" + b"]" * levels
    assert dumps(nested(levels)) == text
    assert dumps(loads(text)) == text


def test_deeper_bodies_are_refused_on_the_way_in_and_out():
    with pytest.raises(StepError, match="nested too deeply"):
        dumps(nested(1025))
    with pytest.raises(BadEvent):
        loads("[" * 1100 + "]" * 1100)


def test_sets_are_written_in_one_order_in_every_process():
    program = "from servegraph.wire.json import dumps; print(dumps(set('servegraph')).decode())"
    written = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(written) == 1


def test_numpy_and_pandas_are_not_imported_for_plain_bodies():
    program = (
        "import sys; from servegraph.wire.bodies import write_body; write_body({'a': {1}, 2: b''});"
        "print([name for name in ('numpy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"a": 1,, }', "line 1, column 9"), ('{"a":\n nope}', "line 2, column 2"), ("", "line 1"), (b"\xff", "line 1")],
)
def test_broken_json_says_where(text, place):
    with pytest.raises(BadEvent, match="not valid JSON") as caught:
        loads(text)
    assert place in str(caught.value)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON;charset=UTF-8", True),
        ("application/vnd.api+json", True),
        ("application/problem+json; charset=utf-8", True),
        ("", False),
        ("text/plain", False),
        ("application/jsonp", False),
        ("application/octet-stream", False),
    ],
)
def test_json_content_types_are_known_with_any_parameters(content_type, expected):
    assert is_json(content_type) is expected


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_plain_bodies_survive_the_way_out_and_in(body):
    assert json.loads(dumps(body)) == body


@given(st.dictionaries(st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.text(), plain))
def test_keys_are_written_alike_on_the_fast_and_the_careful_way(body):
    fast = json.loads(dumps(body))
    careful = json.loads(dumps([body, 2**70]))[0]
    assert fast.keys() == careful.keys()


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40])
def test_integers_of_any_size_are_read_exactly(number):
    assert loads(str(number)) == number
    assert type(loads(str(number).encode())) is int
    assert loads(dumps([number])) == [number]


def test_text_nested_deeply_is_read():
    body = loads("[" * 1000 + "]" * 1000)
    for _ in range(999):
        (body,) = body
    assert body == []
