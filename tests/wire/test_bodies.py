import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.errors import BadEvent, StepError
from servegraph.wire.bodies import read_body, write_body

READ = [
    (b'{"a": 1}', "application/json", {"a": 1}),
    (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
    (b'{"a": 1}', "application/vnd.x+json", {"a": 1}),
    (b'{"a": 1}', "", {"a": 1}),
    (b'{"a": 1}', "application/x-www-form-urlencoded", {"a": 1}),
    (b"a=1&b=2", "application/x-www-form-urlencoded", b"a=1&b=2"),
    (b"not json", "", b"not json"),
    (b"0", "", 0),
    (b"0", "application/json", 0),
    (b'""', "application/json", ""),
    (b"{}", "application/json", {}),
    (b"null", "application/json", None),
    (b"false", "application/json", False),
    (b"", "application/json", None),
    (b"", "", None),
    (b"", "image/png", None),
    (b"12", "text/plain", "12"),
    ("gr\u00fcn".encode(), "text/plain", "gr\u00fcn"),
    ("gr\u00fcn".encode("latin-1"), "text/plain; charset=latin-1", "gr\u00fcn"),
    (b"12", "application/octet-stream", b"12"),
    (b"\x89PNG", "image/png", b"\x89PNG"),
    (bytearray(b"[1]"), "", [1]),
    (memoryview(b"xy"), "application/octet-stream", b"xy"),
    ('{"a": 1}', "", {"a": 1}),
    ('{"a": 1}', "application/json", {"a": 1}),
    ("not json", "", "not json"),
    ("", "", ""),
    ("12", "text/plain", "12"),
    ({"a": 1}, "application/json", {"a": 1}),
    (None, "", None),
    (0, "application/json", 0),
]


@pytest.mark.parametrize(("body", "content_type", "expected"), READ, ids=range(len(READ)))
def test_a_body_is_read_by_its_content_type(body, content_type, expected):
    read = read_body(body, content_type)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "a/b+json"])
def test_a_body_that_is_not_the_json_it_says_is_a_bad_event(content_type):
    for body in (b"{", "{"):
        with pytest.raises(BadEvent, match="line 1, column"):
            read_body(body, content_type)


def test_text_in_another_encoding_than_it_says_is_a_bad_event():
    with pytest.raises(BadEvent, match="utf-8 text"):
        read_body(b"\xff\xfe", "text/plain")
    with pytest.raises(BadEvent, match="'nope' is not known"):
        read_body(b"a", "text/plain; charset=nope")


@pytest.mark.parametrize(
    ("body", "expected", "content_type"),
    [
        (b"\x00\x01", b"\x00\x01", "application/octet-stream"),
        (bytearray(b"x"), b"x", "application/octet-stream"),
        ("gr\u00fcn", "gr\u00fcn".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ([], b"[]", "application/json"),
        (0, b"0", "application/json"),
        (None, b"null", "application/json"),
    ],
    ids=repr,
)
def test_a_body_is_written_with_its_content_type(body, expected, content_type):
    assert write_body(body) == (expected, content_type)


def test_a_body_that_cannot_be_written_is_an_error():
    with pytest.raises(StepError, match="type object"):
        write_body({"a": object()})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_written_as_json_is_read_as_the_same(body):
    data, content_type = write_body(body)
    assert read_body(data, content_type) == body
