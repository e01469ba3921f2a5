"""Numbers that are not finite, and disks that take nothing more."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import rlplug.durable
from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.checkpoint import checkpoints, load_checkpoint

SETTINGS = (
    "dqn cartpole --steps 1000 --train.collect_env_steps 10 --checkpoint.every_env_steps 100 "
    "--checkpoint.keep_last 100"
)


def all_numbers_of(run_dir):
    """Every floating-point array of every checkpoint's agent, weights and reports."""
    found = []

    def walk(part):
        if isinstance(part, dict | list | tuple):
            for one in part.values() if isinstance(part, dict) else part:
                walk(one)
        elif isinstance(part, torch.Tensor) and part.is_floating_point():
            found.append(part.numpy())

    for folder in checkpoints(Path(run_dir) / "checkpoints"):
        walk(load_checkpoint(folder).state)
    return found


def test_a_learning_rate_beyond_reason_ends_the_run_with_sound_checkpoints(lab):
    outcome, run_dir = lab.fail(
        f"{SETTINGS} --agent.optimizer.learning_rate 1e30 --agent.optimizer.decay constant"
    )
    assert outcome.code == 5
    (line,) = outcome.err.splitlines()
    assert line.startswith("Error: Training diverged: ")
    assert "is not finite after 1" in line  # updates begin after step 100
    assert f"Last good checkpoint: {run_dir}/checkpoints/step-000000100. " in line
    assert lab.checkpoint_steps(run_dir) == [0, 100]
    assert all(np.isfinite(numbers).all() for numbers in all_numbers_of(run_dir))
    assert lab.record(run_dir)["state"] == "crashed"


@pytest.mark.parametrize(
    ("report_every", "noticed_at", "good"),
    [(10, 510, 500), (1000, 600, 500)],
    ids=["report", "checkpoint"],
)
def test_a_loss_that_is_nan_is_noticed_at_the_next_report_or_checkpoint(
    lab, monkeypatch, report_every, noticed_at, good
):
    update = DqnAgent.update

    def sometimes_nan(self, batch):
        result = update(self, batch)
        if self.num_updates == 51:  # the first update after step 500
            result.metrics["loss"] = torch.tensor(torch.nan)
        return result

    monkeypatch.setattr(DqnAgent, "update", sometimes_nan)
    outcome, run_dir = lab.fail(
        f"{SETTINGS} --tracking.report_every_env_steps {report_every}"
        " --evaluate.every_env_steps 1000"
    )
    assert outcome.code == 5
    assert f"metric 'loss' is not finite after {noticed_at} environment steps" in outcome.err
    assert f"Last good checkpoint: {run_dir}/checkpoints/step-000000{good}. " in outcome.err
    assert all(np.isfinite(numbers).all() for numbers in all_numbers_of(run_dir))


def test_nan_anywhere_in_the_agent_keeps_it_from_being_saved(lab, monkeypatch):
    update = DqnAgent.update

    def spoil_the_target(self, batch):
        result = update(self, batch)
        if self.num_updates == 62:  # the last update before step 600
            self.target_parameters[0].data[0] = torch.nan
        return result

    monkeypatch.setattr(DqnAgent, "update", spoil_the_target)
    outcome, run_dir = lab.fail(f"{SETTINGS} --agent.target_update_rate 1e-3")
    assert outcome.code == 5
    assert "diverged: 'target." in outcome.err
    assert "' of the agent is not finite after 600 environment steps" in outcome.err
    assert lab.checkpoint_steps(run_dir)[-1] == 500
    assert all(np.isfinite(numbers).all() for numbers in all_numbers_of(run_dir))


def test_a_disk_that_fills_up_ends_the_run_and_spares_earlier_checkpoints(lab, monkeypatch):
    saved = os.fsync

    def full(descriptor):
        if any(Path("runs").glob("*/*/*/checkpoints/.step-000000400*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved(descriptor)

    monkeypatch.setattr(rlplug.durable.os, "fsync", full)
    outcome, run_dir = lab.fail(
        f"{SETTINGS} --evaluate.every_env_steps 1000 --checkpoint.on_error stop"
    )
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert "Cannot write the checkpoint" in line
    assert "No space left on device" in line
    assert f"{run_dir}/checkpoints/step-000000300 (resume: " in line
    assert lab.checkpoint_steps(run_dir) == [0, 100, 200, 300]
    monkeypatch.setattr(rlplug.durable.os, "fsync", saved)
    assert lab(f"train --resume {run_dir}").code == 0


def test_a_disk_that_is_full_for_a_while_is_told_and_training_goes_on(lab, monkeypatch):
    saved = os.fsync

    def full(descriptor):
        if any(Path("runs").glob("*/*/*/checkpoints/.step-000000[45]*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved(descriptor)

    unbroken = lab.train(SETTINGS)
    monkeypatch.setattr(rlplug.durable.os, "fsync", full)
    run_dir = lab.train(SETTINGS)
    assert lab.checkpoint_steps(run_dir) == [0, 100, 200, 300, 600, 700, 800, 900, 1000]
    log = (run_dir / "console.log").read_text()
    assert log.count("No space left on device. Earlier checkpoints are intact.") == 2
    assert log.count("Training goes on; the next checkpoint tries again.") == 2
    assert "Checkpoints on the way that could not be written: 2." in log
    assert lab.state(run_dir) == lab.state(unbroken)


def test_a_last_checkpoint_that_cannot_be_written_is_an_error_whatever_was_asked(lab, monkeypatch):
    saved = os.fsync

    def full(descriptor):
        if any(Path("runs").glob("*/*/*/checkpoints/.step-000001000*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved(descriptor)

    monkeypatch.setattr(rlplug.durable.os, "fsync", full)
    outcome, run_dir = lab.fail(SETTINGS)
    assert outcome.code == 1
    assert "step-000001000: No space left on device." in outcome.err
    assert f"{run_dir}/checkpoints/step-000000900 (resume: " in outcome.err
    assert lab.record(run_dir)["state"] == "crashed"
    monkeypatch.setattr(rlplug.durable.os, "fsync", saved)
    assert lab(f"train --resume {run_dir}").code == 0


def test_a_disk_that_is_full_at_once_leaves_nothing(lab, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rlplug.durable.os, "fsync", full)
    outcome = lab("train dqn cartpole --steps 100")
    assert outcome.code == 2
    assert "Cannot write the run folder in runs/cartpole/dqn: No space left" in outcome.err
    assert not [file for file in lab.folder.rglob("*") if file.is_file()]


def test_a_root_that_cannot_be_written_is_named(lab):
    (lab.folder / "taken").write_text("")
    outcome = lab("train dqn cartpole --steps 100 --run-dir taken")
    assert outcome.code == 2
    assert "Cannot write the run folder in taken/cartpole/dqn: Not a directory" in outcome.err


def test_a_tracker_that_fails_does_not_stop_the_run(lab, monkeypatch):
    from rlplug.tracking import JsonlTracker

    def full(self, env_steps, metrics):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(JsonlTracker, "write", full)
    run_dir = lab.train("dqn cartpole --steps 200")
    log = (run_dir / "console.log").read_text()
    assert log.count("metrics.jsonl cannot be written") == 1
    assert lab.record(run_dir)["state"] == "finished"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 640 kilobytes, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)]
    try:
        refused = subprocess.run(mount, capture_output=True, check=False).returncode
    except OSError:
        refused = True
    if refused:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full_spares_what_is_there_and_the_run_goes_on_when_there_is_room(
    lab, small_disk
):
    unbroken = lab.train(SETTINGS)
    outcome, run_dir = lab.fail(f"{SETTINGS} --run-dir {small_disk}")
    assert outcome.code == 1
    assert "No space left on device" in outcome.err
    assert "Training goes on; the next checkpoint tries again." in outcome.err + outcome.out
    steps = lab.checkpoint_steps(run_dir)
    assert steps == list(range(0, 100 * len(steps), 100))
    assert 2 <= len(steps) < 10
    assert all(load_checkpoint(path) for path in checkpoints(run_dir / "checkpoints"))
    for path in checkpoints(run_dir / "checkpoints")[:-1]:
        shutil.rmtree(path)
    fewer = "--checkpoint.keep_last 1 --checkpoint.keep_best false"
    resumed = lab(f"train --resume {run_dir} {fewer}")
    assert resumed.code == 0, resumed.err
    assert lab.state(run_dir) == lab.state(unbroken)
    assert lab.rows(run_dir) == lab.rows(unbroken)
