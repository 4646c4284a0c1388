import threading

import pytest

from servegraph.sources.atomic import write_text


def test_a_file_is_written_whole_with_its_folder(tmp_path):
    path = tmp_path / "new" / "x.yaml"
    write_text(path, "a")
    write_text(path, "b")
    assert path.read_text() == "b"
    assert [each.name for each in path.parent.iterdir()] == ["x.yaml"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.yaml"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["x.yaml"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "x.yaml"
    write_text(path, "0" * 100_000)
    done = threading.Event()

    def write():
        for digit in "123456789":
            write_text(path, digit * 100_000)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        text = path.read_text()
        assert text == text[0] * 100_000
    writer.join()
