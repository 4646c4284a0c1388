import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.routers.paths import Target, Targets, newest


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", Target("root")),
        ("", Target("root")),
        ("/v2", Target("server")),
        ("/v2/", Target("server")),
        ("/v2/health", Target("server")),
        ("/v2/health/any", Target("server")),
        ("/v2/health/live", Target("live")),
        ("/v2/health/ready", Target("ready")),
        ("/v2/models", Target("models")),
        ("/v2/models/", Target("models")),
        ("/v2/models/m", Target("model", "m")),
        ("/v2/models/m/", Target("model", "m")),
        ("/v2/models/m/infer", Target("model", "m", "infer")),
        ("v2/models/m/infer", Target("model", "m", "infer")),
        ("/v2/models/m:v1/infer", Target("model", "m:v1", "infer")),
        ("/v2/models/m/versions/v1", Target("model", "m:v1")),
        ("/v2/models/m/versions/v1/infer", Target("model", "m:v1", "infer")),
        ("/v2/models/m/versions", Target("model", "m", "versions")),
        ("/v2/models/m/a/b", Target("model", "m", "a/b")),
        ("/v2/models/a%20b%2Fc/infer", Target("model", "a b/c", "infer")),
        ("/v2/modelsX/m/infer", Target("unknown")),
        ("/v2/healthy", Target("unknown")),
        ("/v1/models/m", Target("unknown")),
        ("/favicon.ico", Target("unknown")),
    ],
)
def test_a_path_leads_to_one_target(path, target):
    targets = Targets("/v2/models", "/v2/health")
    assert targets[path] == target
    assert targets[path] == target


def test_prefixes_may_be_anything():
    targets = Targets("/api/predictors/", "status")
    assert targets["/api/predictors/m/infer"] == Target("model", "m", "infer")
    assert targets["/status/ready"] == Target("ready")
    assert targets["/v2/models/m"] == Target("unknown")


def test_paths_from_clients_do_not_grow_the_process():
    targets = Targets("/v2/models", "/v2/health")
    for number in range(5000):
        assert targets[f"/v2/models/m{number}"].key == f"m{number}"
    assert len(targets) <= 1024
    targets["/v2/models/" + "x" * 10_000]
    assert max(map(len, targets)) < 1000


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["m:v1", "m:v2"], "m:v2"),
        (["m:v10", "m:v9"], "m:v10"),
        (["m:1.9", "m:1.10", "m:1.2"], "m:1.10"),
        (["m:2026-01-31", "m:2026-02-01"], "m:2026-02-01"),
        (["m:a", "m:1"], "m:a"),
        (["mm:v1", "m"], None),
        ([], None),
    ],
)
def test_the_newest_version_counts_numbers_as_numbers(keys, expected):
    assert newest("m", keys) == expected


@given(st.lists(st.text(alphabet="v.-12390ab"), min_size=1))
def test_versions_of_any_kind_can_be_compared(versions):
    keys = [f"m:{version}" for version in versions]
    assert newest("m", keys) == newest("m", keys[::-1])
