import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.artifacts.urls import file_name, is_local, local_path, public, scheme_of, told_without
from servegraph.errors import ArtifactError


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("model.pkl", ""),
        ("a/b.pkl", ""),
        ("/a/b.pkl", ""),
        ("c:/models/m.pkl", ""),
        ("./odd:name.pkl", ""),
        ("file:///a", "file"),
        ("S3://bucket/a", "s3"),
        ("https://x/a", "https"),
        ("simplecache::s3://b/a", "simplecache"),
    ],
)
def test_the_scheme_is_what_stands_before_the_slashes(url, scheme):
    assert scheme_of(url) == scheme
    assert is_local(url) is (scheme in ("", "file"))


def test_local_urls_are_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(local_path("file:///a%20b/c.pkl")) == "/a b/c.pkl"
    assert str(local_path("file://localhost/c.pkl")) == "/c.pkl"
    assert str(local_path("~/m.pkl")) == "/somewhere/m.pkl"
    with pytest.raises(ArtifactError, match="another machine"):
        local_path("file://other/c.pkl")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x/models/m%20.pkl?sig=1#top", "m .pkl"),
        ("https://x/", "artifact"),
        ("https://x/..", "artifact"),
        ("https://x/a%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://x/a%5Cb", "b"),
        ("bucket/a/b.pkl", "b.pkl"),
    ],
)
def test_a_file_name_is_safe_to_use_here(url, name):
    assert file_name(url) == name


@given(st.text(max_size=40))
def test_no_url_names_a_file_outside_of_its_folder(path):
    name = file_name(f"https://host/{path}")
    assert name and "/" not in name and "\\" not in name and name not in (".", "..")


def test_messages_name_urls_without_secrets():
    url = "https://user:hunter2@host:1/a/m.pkl?X-Amz-Signature=hunter2#hunter2"
    assert public(url) == "https://host:1/a/m.pkl"
    assert public("a@b/c?d") == "a@b/c?d"
    assert "hunter2" not in told_without(url, ValueError(f"no answer from {url}"))


@given(st.text(alphabet="ab@:/?#%", max_size=20))
def test_a_password_is_never_told(rest):
    assert "hunter2" not in public(f"https://user:hunter2@host/{rest}")
