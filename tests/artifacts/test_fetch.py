import gc
import hashlib
import os
import stat
import subprocess
import sys
import threading

import fsspec
import pytest

from servegraph.artifacts import fetch
from servegraph.errors import ArtifactError


def sha(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def memory(request):
    """A folder of fsspec's in-memory file system that no other test uses."""
    system = fsspec.filesystem("memory")
    root = f"/{request.node.name}-{os.getpid()}"
    yield system, f"memory:/{root}"
    if system.exists(root):
        system.rm(root, recursive=True)


def test_a_local_file_is_used_in_place(tmp_path):
    file = tmp_path / "m.pkl"
    file.write_bytes(b"model")
    for url in (str(file), f"file://{file}"):
        assert fetch(url, ".pkl").path == str(file)


def test_a_file_named_itself_is_taken_whatever_its_suffix(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"model")
    (tmp_path / "other.bin").write_bytes(b"")
    fetched = fetch(str(tmp_path / "m.bin"), ".pkl")
    assert fetched.path == str(tmp_path / "m.bin")
    assert fetched.extra_files == {}


def test_of_a_folder_the_file_with_the_suffix_is_chosen_and_the_others_are_extra(tmp_path):
    for name in ("m.pkl", "labels.json", "notes.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "inner").mkdir()
    fetched = fetch(str(tmp_path), ".pkl")
    assert fetched.path == str(tmp_path / "m.pkl")
    assert fetched.extra_files == {name: str(tmp_path / name) for name in ("labels.json", "notes.txt")}
    assert fetch(str(tmp_path), (".joblib", ".pkl")).path == str(tmp_path / "m.pkl")


def test_a_folder_with_none_or_several_says_what_it_holds(tmp_path):
    with pytest.raises(ArtifactError, match=r"no file with the suffix \.pkl; it is empty"):
        fetch(str(tmp_path), ".pkl")
    (tmp_path / "a.pkl").write_text("")
    (tmp_path / "b.pkl").write_text("")
    with pytest.raises(ArtifactError, match=r"no file with the suffix \.onnx; it holds a\.pkl, b\.pkl"):
        fetch(str(tmp_path), ".onnx")
    with pytest.raises(ArtifactError, match=r"more than one file with the suffix \.pkl: a\.pkl, b\.pkl"):
        fetch(str(tmp_path), ".pkl")


def test_a_missing_file_is_named(tmp_path, web, memory):
    for url in (str(tmp_path / "no.pkl"), f"{web.url}/no.pkl", f"{memory[1]}/no.pkl"):
        with pytest.raises(ArtifactError, match=r"there is no file '.*no\.pkl'"):
            fetch(url)


def test_a_file_comes_over_http_each_time_anew(web):
    web.files["/m.pkl"] = b"one"
    first = fetch(f"{web.url}/m.pkl?token=x")
    web.files["/m.pkl"] = b"two"
    second = fetch(f"{web.url}/m.pkl")
    assert (read(first.path), read(second.path)) == (b"one", b"two")
    assert os.path.basename(first.path) == "m.pkl"
    assert web.requests[0][0] == "/m.pkl?token=x"


def test_a_user_in_the_url_becomes_basic_authentication_and_stays_out_of_messages(web):
    web.files["/m.pkl"] = b"one"
    with_user = web.url.replace("http://", "http://user:hunter2@")
    fetch(f"{with_user}/m.pkl")
    assert web.requests[0][1]["authorization"].startswith("Basic ")
    for path in ("/no.pkl", "/forbidden.pkl"):
        with pytest.raises(ArtifactError, match=path) as caught:
            fetch(f"{with_user}{path}?sig=hunter2")
        assert "hunter2" not in str(caught.value)


def test_redirects_are_followed(web):
    web.files["/real.pkl"] = b"model"
    web.redirects["/m.pkl"] = "/real.pkl"
    assert read(fetch(f"{web.url}/m.pkl").path) == b"model"


def test_a_download_that_breaks_off_is_an_error_and_leaves_nothing(web, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    web.files["/m.pkl"] = b"x" * 10_000
    web.cut_short.add("/m.pkl")
    with pytest.raises(ArtifactError, match="cannot fetch"):
        fetch(f"{web.url}/m.pkl")
    assert os.listdir(tmp_path) == []


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(ArtifactError, match=r"cannot fetch 'http://127\.0\.0\.1:1/m\.pkl': ConnectError"):
        fetch("http://127.0.0.1:1/m.pkl")


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_web):
    with pytest.raises(ArtifactError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(f"{tls_web}/m.pkl")


def test_what_fsspec_opens_is_fetched_with_its_folder(memory):
    system, url = memory
    folder = url.removeprefix("memory:/")
    system.pipe({f"{folder}/m.pkl": b"model", f"{folder}/labels.json": b"[]", f"{folder}/deep/x.pkl": b""})
    fetched = fetch(url, ".pkl")
    assert read(fetched.path) == b"model"
    assert {name: read(path) for name, path in fetched.extra_files.items()} == {"labels.json": b"[]"}
    assert read(fetch(f"{url}/m.pkl").path) == b"model"


def test_a_missing_backend_says_how_to_install_it():
    with pytest.raises(ArtifactError, match="needs the package s3fs; install it with: pip install s3fs"):
        fetch("s3://bucket/m.pkl")


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(ArtifactError, match="did you mean 'memory'"):
        fetch("memry://m.pkl")


@pytest.mark.parametrize("write", [str.upper, "sha256:{}".format, str])
def test_the_promised_file_is_handed_out_as_a_copy_that_nobody_else_can_change(tmp_path, write):
    file = tmp_path / "m.pkl"
    file.write_bytes(b"model")
    fetched = fetch(str(file), sha256=write(sha(b"model")))
    assert fetched.path != str(file)
    file.write_bytes(b"evil")
    assert read(fetched.path) == b"model"
    assert stat.S_IMODE(os.stat(os.path.dirname(fetched.path)).st_mode) == 0o700


def test_a_tampered_file_is_refused_wherever_it_comes_from(tmp_path, web, memory, monkeypatch):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(downloads))
    (tmp_path / "m.pkl").write_bytes(b"evil")
    web.files["/m.pkl"] = b"evil"
    system, url = memory
    system.pipe({f"{url.removeprefix('memory:/')}/m.pkl": b"evil"})
    for place in (f"{tmp_path}/m.pkl", f"{web.url}/m.pkl", f"{url}/m.pkl", url):
        with pytest.raises(ArtifactError, match="not the file that was promised") as caught:
            fetch(place, ".pkl", sha256=sha(b"model"))
        assert sha(b"model") in str(caught.value) and sha(b"evil") in str(caught.value)
    assert os.listdir(downloads) == []


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 63])
def test_a_digest_that_is_none_is_an_error(tmp_path, digest):
    (tmp_path / "m.pkl").write_bytes(b"model")
    with pytest.raises(ArtifactError, match="64 hexadecimal digits"):
        fetch(str(tmp_path / "m.pkl"), sha256=digest)


def test_more_than_the_bytes_allowed_is_refused(web, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    web.files["/m.pkl"] = b"x" * 1000
    assert fetch(f"{web.url}/m.pkl", max_bytes=1000).path
    with pytest.raises(ArtifactError, match="larger than the 999 bytes allowed"):
        fetch(f"{web.url}/m.pkl", max_bytes=999)
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_a_download_is_deleted_when_closed_or_forgotten(web):
    web.files["/m.pkl"] = b"model"
    fetched = fetch(f"{web.url}/m.pkl")
    fetched.close()
    fetched.close()
    assert not os.path.exists(fetched.path)
    path = fetch(f"{web.url}/m.pkl").path
    gc.collect()
    assert not os.path.exists(path)


def test_a_forked_process_leaves_the_files_of_its_parent(web):
    web.files["/m.pkl"] = b"model"
    fetched = fetch(f"{web.url}/m.pkl")
    program = (
        "import os, sys; from servegraph.artifacts import fetch;"
        f"fetched = fetch({f'{web.url}/m.pkl'!r}); child = os.fork();"
        "child or sys.exit();"
        "os.waitpid(child, 0); print(os.path.exists(fetched.path))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert os.path.exists(fetched.path)


def test_secrets_reach_the_file_system_that_needs_them(monkeypatch):
    asked = []

    def secret(key, default=None):
        asked.append(key)
        return default

    with pytest.raises(ArtifactError):
        fetch("s3://bucket/m.pkl", secrets=secret)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(asked)


def test_many_threads_fetch_at_once(web):
    web.files["/m.pkl"] = b"x" * 200_000
    paths = []

    def run():
        fetched = fetch(f"{web.url}/m.pkl", sha256=sha(b"x" * 200_000))
        paths.append(fetched.path)
        fetched.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 8


def test_the_clients_are_imported_only_for_the_urls_that_need_them(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"")
    program = (
        f"import sys; from servegraph.artifacts import fetch; fetch({str(tmp_path / 'm.pkl')!r});"
        "print([name for name in ('httpx', 'fsspec', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
