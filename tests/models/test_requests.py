import datetime
import re
from io import BytesIO

import numpy as np
import pytest

from servegraph.errors import BadEvent, GraphError
from servegraph.models.requests import (
    check_request,
    operation_in,
    read_request,
    read_schema,
    rows_from_dicts,
    split_key,
    timestamp,
)


def test_json_text_is_parsed_and_an_image_is_the_only_input():
    assert read_request(b'{"inputs": [1]}', "application/octet-stream", "inputs") == {"inputs": [1]}
    image = read_request(b"\x89PNG", "image/png", "inputs")["inputs"][0]
    assert isinstance(image, BytesIO) and image.read() == b"\x89PNG"
    assert read_request(b"raw", "", "inputs") == b"raw"
    assert read_request([1], "", "inputs") == [1]


@pytest.mark.parametrize("inputs", [[1, 2], (1, 2), np.array([1, 2])], ids=lambda value: type(value).__name__)
def test_inputs_are_a_list_however_they_came(inputs):
    request = {"inputs": inputs, "more": 1}
    assert check_request(request, "inputs") == {"inputs": [1, 2], "more": 1}
    assert request["inputs"] is inputs


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, 'Expected key "inputs" in request body'),
        ({"inputs": 5}, 'Expected "inputs" to be a list, not a value of type int'),
        ({"inputs": {"a": 1}}, 'Expected "inputs" to be a list, not an object'),
        ({"inputs": "abc"}, 'Expected "inputs" to be a list, not text'),
        ({"inputs": None}, 'Expected "inputs" to be a list, not nothing'),
        ([1], "not a list"),
        (None, "not nothing"),
        (b"{", "not valid JSON"),
        (b"\x00", "not valid JSON"),
        ("[1]", "not text"),
    ],
)
def test_a_request_without_a_list_of_inputs_is_a_bad_event(request_, told):
    with pytest.raises(BadEvent) as caught:
        check_request(request_, "inputs")
    assert told in str(caught.value)


SCHEMA = [{"name": "b"}, {"name": "a"}]


def test_dicts_become_rows_in_the_order_of_the_schema():
    one = rows_from_dicts({"inputs": {"a": 1, "b": 2, "c": 3}, "id": "x"}, "inputs", SCHEMA, "m")
    assert one == {"inputs": [[2, 1]], "id": "x"}
    two = rows_from_dicts({"inputs": [{"a": 1, "b": 2}, {"b": 3, "a": 4}]}, "inputs", SCHEMA, "m")
    assert two == {"inputs": [[2, 1], [3, 4]]}


@pytest.mark.parametrize(
    ("request_", "schema", "told"),
    [
        ({"inputs": {"a": 1}}, SCHEMA, 'row 0 of "inputs" lacks b; needed are b, a'),
        ({"inputs": [[1]]}, SCHEMA, "a dict or a list of dicts"),
        ({"inputs": 1}, SCHEMA, "a dict or a list of dicts"),
        ({}, SCHEMA, 'Expected key "inputs"'),
        (None, SCHEMA, "not nothing"),
        ({"inputs": {"a": 1}}, [], "does not know the order of its inputs"),
    ],
)
def test_dicts_that_do_not_fit_are_a_bad_event(request_, schema, told):
    with pytest.raises(BadEvent, match=re.escape(told)):
        rows_from_dicts(request_, "inputs", schema, "m")


def test_a_schema_is_names_or_descriptions():
    described = {"name": "a", "datatype": "FP64", "shape": [-1]}
    assert read_schema([described, "b"], "inputs") == [described, {"name": "b"}]
    assert read_schema("b", "inputs") == [{"name": "b"}]
    assert read_schema(None, "inputs") == []
    with pytest.raises(GraphError, match="inputs="):
        read_schema([{"datatype": "FP64"}], "inputs")


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/", ""),
        ("/infer", "infer"),
        ("/any/where/infer", "infer"),
        ("/any/where", None),
        ("/v2/models/m", ""),
        ("/v2/models/m/explain", "explain"),
        ("/v2/models/m/unknown", "unknown"),
        ("/v2/models/m/versions/3", ""),
        ("/v2/models/m/versions/3/infer", "infer"),
        ("/v2/models/infer", ""),
        ("/v2/models", None),
    ],
)
def test_a_path_names_an_operation_for_a_model_that_stands_alone(path, operation):
    assert operation_in(path, {"infer", "explain"}.__contains__) == operation


def test_a_key_is_a_name_and_perhaps_a_version():
    assert split_key("m") == ("m", "")
    assert split_key("m:v1") == ("m", "v1")


def test_timestamps_are_utc_with_six_digits_and_never_go_back():
    stamps = [timestamp() for _ in range(1000)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00", each) for each in stamps)
    assert stamps == sorted(stamps)
    late = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(stamps[-1])
    assert abs(late) < datetime.timedelta(seconds=30)
