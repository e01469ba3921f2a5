import errno
import os

import pytest

from rlplug.errors import RunFolderError
from rlplug.foreign_files import read_small_file, require_own_files


def test_a_file_is_read_up_to_the_bound_and_not_beyond_it(tmp_path):
    file = tmp_path / "one"
    file.write_bytes(b"12345")

    assert read_small_file(file, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than 4") as caught:
        read_small_file(file, 4)
    assert caught.value.errno == errno.EFBIG


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="it is not a regular file"):
            read_small_file(path, 100)


def test_files_folders_and_what_is_gone_are_ones_own_and_links_and_pipes_are_not(tmp_path):
    (tmp_path / "file").write_text("")
    require_own_files([tmp_path, tmp_path / "file", tmp_path / "gone"])

    (tmp_path / "link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("link", "a link"), ("pipe", "a pipe, a socket or a device")):
        with pytest.raises(RunFolderError, match=f"{name} is {kind}, and a run writes nothing"):
            require_own_files([tmp_path / "file", tmp_path / name])
