import os

import pytest

from rlplug import durable


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_replacing_a_file_leaves_the_new_content_and_nothing_else(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(b"old")

    durable.replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["run.json"]


def test_a_replacement_that_fails_keeps_the_old_content_and_removes_its_partial_file(
    tmp_path, monkeypatch
):
    path = tmp_path / "run.json"
    path.write_bytes(b"old")

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        durable.replace_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["run.json"]


def test_a_partial_file_of_a_killed_process_is_no_obstacle(tmp_path):
    (tmp_path / ".run.json.partial").write_bytes(b"half")

    durable.replace_file(tmp_path / "run.json", b"new")

    assert names(tmp_path) == ["run.json"]


def test_bytes_reach_the_disk_before_the_rename_and_the_rename_before_the_return(
    tmp_path, monkeypatch
):
    tape = []
    monkeypatch.setattr(os, "fsync", lambda _: tape.append(names(tmp_path)))

    durable.replace_file(tmp_path / "run.json", b"new")

    assert tape == [[".run.json.partial"], ["run.json"]]
