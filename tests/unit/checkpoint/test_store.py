import errno
import os
import shutil
from pathlib import Path

import pytest

from rlplug.checkpoint import (
    CheckpointInfo,
    CheckpointStore,
    best_checkpoint,
    checkpoints,
    load_component,
    newest_checkpoint,
)
from rlplug.config import CheckpointConfig
from rlplug.errors import CheckpointError


def weight(path):
    return load_component(path, "agent")["weights"][0, 0].item()


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def store(folder, **config):
    return CheckpointStore(folder, CheckpointConfig(**config))


def test_the_newest_two_and_the_best_are_kept(tmp_path, state):
    kept = store(tmp_path)
    for env_steps, score in [(10, 5.0), (20, 50.0), (30, 7.0), (40, None), (50, 9.0)]:
        kept.save(state(), CheckpointInfo(env_steps=env_steps, mean_return=score))

    assert names(tmp_path) == ["step-000000020", "step-000000040", "step-000000050"]
    assert kept.newest().name == "step-000000050"
    assert kept.best().name == "step-000000020"


def test_the_best_goes_where_it_is_not_to_be_kept(tmp_path, state):
    kept = store(tmp_path, keep_last=1, keep_best=False)
    kept.save(state(), CheckpointInfo(env_steps=10, mean_return=100.0))
    kept.save(state(), CheckpointInfo(env_steps=20, mean_return=1.0))

    assert names(tmp_path) == ["step-000000020"]


def test_of_equally_good_checkpoints_the_later_is_the_best(tmp_path, save):
    save(tmp_path, 10, mean_return=500.0)
    later = save(tmp_path, 20, mean_return=500.0)
    save(tmp_path, 30, mean_return=-1.0)

    assert best_checkpoint(tmp_path) == later


def test_a_run_without_checkpoints_or_evaluations_has_no_newest_or_best(tmp_path, save):
    assert newest_checkpoint(tmp_path) is None
    assert best_checkpoint(tmp_path) is None
    save(tmp_path, 1)
    assert best_checkpoint(tmp_path) is None


def test_newest_is_by_environment_steps_and_not_by_letters(tmp_path, save):
    save(tmp_path, 999_999_999)
    last = save(tmp_path, 1_000_000_000)

    assert newest_checkpoint(tmp_path) == last
    assert last.name == "step-1000000000"


def test_saving_the_same_step_again_replaces_it(tmp_path, save):
    save(tmp_path, 10, 1.0)
    second = save(tmp_path, 10, 2.0)
    assert names(tmp_path) == ["step-000000010-2"]
    third = save(tmp_path, 10, 3.0)

    assert weight(third) == 3.0
    assert (second.name, third.name) == ("step-000000010-2", "step-000000010-3")
    assert names(tmp_path) == ["step-000000010-3"]
    assert newest_checkpoint(tmp_path) == third


def test_a_resume_discards_what_lies_after_it(tmp_path, state):
    kept = store(tmp_path, keep_last=9)
    for env_steps in (10, 20, 30):
        kept.save(state(), CheckpointInfo(env_steps=env_steps))

    kept.discard_after(20)

    assert names(tmp_path) == ["step-000000010", "step-000000020"]


def test_other_files_beside_checkpoints_are_left_alone(tmp_path, state):
    kept = store(tmp_path, keep_last=1)
    kept.save(state(), CheckpointInfo(env_steps=10))
    (tmp_path / "checkpoints" / "step-notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "mine").mkdir()
    kept.save(state(), CheckpointInfo(env_steps=20))

    assert names(tmp_path) == ["mine", "step-000000020", "step-notes.txt"]
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["step-000000020"]


def test_a_checkpoint_that_cannot_be_removed_is_named_and_the_run_goes_on(
    tmp_path, monkeypatch, state
):
    messages = []
    kept = CheckpointStore(
        tmp_path, CheckpointConfig(keep_last=1, keep_best=False), warn=messages.append
    )
    kept.save(state(), CheckpointInfo(env_steps=10))

    def refuse(_path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    kept.save(state(), CheckpointInfo(env_steps=20))

    assert len(messages) == 1
    assert "step-000000010: Permission denied" in messages[0]


MODES = {
    "last": ({"keep_last": 1, "keep_best": False}, [90]),
    "all": ({"keep_last": "all"}, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]),
    "last+gap": (
        {"keep_last": 1, "keep_best": False, "keep_every_env_steps": 30},
        [0, 30, 60, 90],
    ),
    "last two, gap, best": (
        {"keep_last": 2, "keep_every_env_steps": 40},
        [0, 20, 40, 80, 90],
    ),
}


@pytest.mark.parametrize(("config", "kept"), MODES.values(), ids=MODES)
def test_the_usual_ways_to_keep_checkpoints_are_settings(tmp_path, state, config, kept):
    kept_by = store(tmp_path, **config)
    for env_steps in range(0, 100, 10):
        best = 100.0 if env_steps == 20 else 1.0
        kept_by.save(state(), CheckpointInfo(env_steps=env_steps, mean_return=best))

    assert names(tmp_path) == [f"step-{env_steps:09d}" for env_steps in kept]


def test_where_a_period_is_no_multiple_of_the_distance_the_first_after_it_is_kept(tmp_path, state):
    kept_by = store(tmp_path, keep_last=1, keep_best=False, keep_every_env_steps=25)
    for env_steps in range(7, 110, 10):
        kept_by.save(state(), CheckpointInfo(env_steps=env_steps))

    kept = [7, 27, 57, 77, 107]
    assert names(tmp_path) == [f"step-{env_steps:09d}" for env_steps in kept]


def test_an_evaluation_that_ends_later_makes_a_checkpoint_the_best(tmp_path, state):
    kept = store(tmp_path)
    for env_steps in (10, 20):
        kept.save(state(), CheckpointInfo(env_steps=env_steps))
    kept.rate(10, 50.0)
    kept.rate(99, 90.0)  # not kept: nothing to note
    for env_steps in (30, 40):
        kept.save(state(), CheckpointInfo(env_steps=env_steps))

    assert names(tmp_path) == ["step-000000010", "step-000000030", "step-000000040"]
    assert kept.best().name == "step-000000010"
    assert kept.newest().name == "step-000000040"


def test_the_logs_up_to_a_checkpoint_are_on_the_disk_before_it(tmp_path, state, monkeypatch):
    log, absent = tmp_path / "metrics.jsonl", tmp_path / "absent.jsonl"
    log.write_text("{}")
    kept = CheckpointStore(tmp_path, CheckpointConfig(), logs=[log, absent])
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
    )
    kept.save(state(), CheckpointInfo(env_steps=10))

    assert synced.count(str(log)) == 1
    assert synced.index(str(log)) < min(
        index for index, name in enumerate(synced) if name.endswith("manifest.json")
    )


def test_a_log_that_the_disk_does_not_take_is_an_error_of_the_checkpoint(
    tmp_path, state, monkeypatch
):
    log = tmp_path / "metrics.jsonl"
    log.write_text("{}")
    kept = CheckpointStore(tmp_path, CheckpointConfig(), logs=[log])

    def fails(file):
        if Path(f"/proc/self/fd/{file}").readlink() == log:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CheckpointError, match="step-000000010: Input/output error"):
        kept.save(state(), CheckpointInfo(env_steps=10))
    assert names(tmp_path) == []
