import json
import os
import resource
import time

import numpy as np
import pytest

from rlplug.errors import RunFolderError
from rlplug.tracking import JsonlTracker


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def steps(folder):
    return [row["env_steps"] for row in rows(folder)]


def test_each_report_is_one_object_on_one_line(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.write(100, {"loss": 0.5, "updates": 25, "q": np.float32(2.0), "a\nb": 1.0})
    tracker.write(200, {"evaluation/mean_return": 98.5})
    tracker.close()

    first, second = rows(tmp_path)
    assert abs(first.pop("time") - time.time()) < 60
    assert first == {"env_steps": 100, "loss": 0.5, "updates": 25, "q": 2.0, "a\nb": 1.0}
    assert list(second) == ["env_steps", "time", "evaluation/mean_return"]


def test_rows_are_there_as_soon_as_they_are_written(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.write(100, {"loss": 0.5})

    assert steps(tmp_path) == [100]
    tracker.close()


def test_what_is_not_finite_is_null_so_that_every_reader_of_json_can_read_it(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.write(1, {"a": float("nan"), "b": float("inf"), "c": np.float32("-inf")})
    tracker.close()

    def refuse(constant):
        raise AssertionError(constant)

    line = (tmp_path / "metrics.jsonl").read_text()
    row = json.loads(line, parse_constant=refuse)
    assert (row["a"], row["b"], row["c"]) == (None, None, None)


def test_a_metric_cannot_take_the_place_of_the_step(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.write(7, {"env_steps": 99.0})
    tracker.close()

    assert steps(tmp_path) == [7]


def test_a_resume_logs_no_step_twice_and_misses_none(tmp_path):
    first = JsonlTracker(tmp_path)
    for env_steps in (100, 200, 200, 300, 400):
        first.write(env_steps, {})
    first.close()

    resumed = JsonlTracker(tmp_path, resume_at=200)
    for env_steps in (300, 400, 500):
        resumed.write(env_steps, {})
    resumed.close()

    assert steps(tmp_path) == [100, 200, 200, 300, 400, 500]


@pytest.mark.parametrize(
    "torn",
    [b'{"env_steps": 150, "lo', b'{"env_steps": 150}', b"\xff\n", b"[]\n", b"\n", b'{"a": 1}\n'],
)
def test_a_row_that_a_crash_tore_is_dropped_on_resume(tmp_path, torn):
    first = JsonlTracker(tmp_path)
    first.write(100, {"loss": 1.0})
    first.close()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(torn)

    resumed = JsonlTracker(tmp_path, resume_at=200)
    resumed.write(300, {})
    resumed.close()

    assert steps(tmp_path) == [100, 300]


def test_a_resume_that_drops_nothing_leaves_the_file_as_it_is(tmp_path):
    first = JsonlTracker(tmp_path)
    first.write(100, {})
    first.close()
    before = (tmp_path / "metrics.jsonl").stat()
    JsonlTracker(tmp_path, resume_at=100).close()

    assert (tmp_path / "metrics.jsonl").stat().st_ino == before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_run_without_a_file_can_be_resumed(tmp_path):
    JsonlTracker(tmp_path, resume_at=100).close()
    assert steps(tmp_path) == []


def test_rows_that_a_full_disk_refused_are_written_when_it_has_room_again(tmp_path):
    tracker = JsonlTracker(tmp_path)
    tracker.write(100, {"loss": 1.0})
    size = (tmp_path / "metrics.jsonl").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        for env_steps in (200, 300):
            with pytest.raises(OSError, match="File too large"):
                tracker.write(env_steps, {"loss": 1.0})
            assert steps(tmp_path) == [100]  # and no torn row
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    tracker.write(400, {"loss": 1.0})
    tracker.close()
    tracker.close()

    assert steps(tmp_path) == [100, 200, 300, 400]


def test_closing_on_a_full_disk_says_so(tmp_path):
    tracker = JsonlTracker(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            tracker.write(100, {})
        with pytest.raises(OSError, match="File too large"):
            tracker.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    tracker.close()


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_a_history_that_is_none_is_refused_on_resume(tmp_path, kind):
    file = tmp_path / "metrics.jsonl"
    if kind == "pipe":
        os.mkfifo(file)
    else:
        with file.open("wb") as sparse:
            sparse.truncate(1 << 40)
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl cannot be read: it "):
        JsonlTracker(tmp_path, resume_at=100)
