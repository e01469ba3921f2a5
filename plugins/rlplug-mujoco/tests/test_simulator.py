"""Where MuJoCo is missing, broken or too old: one line, the command that mends it, exit code 3."""

from __future__ import annotations

import logging
import sys

import mujoco
import numpy as np
import pytest

from rlplug.errors import PluginError
from rlplug_mujoco import make, simulator

COMMAND = 'pip install --upgrade "mujoco>=3.1"'


@pytest.fixture
def fake_mujoco(tmp_path):
    """Puts a package named mujoco, with this code, before the real one."""

    def write(code):
        package = tmp_path / "mujoco"
        package.mkdir()
        (package / "__init__.py").write_text(code)
        return tmp_path

    return write


def test_missing_it_is_said_in_one_line_with_exit_code_3(rlplug_command, fake_mujoco):
    folder = fake_mujoco("raise ModuleNotFoundError(\"No module named 'mujoco'\", name='mujoco')")
    done = rlplug_command("train", "sac", "HalfCheetah-v5", "--steps", 100, PYTHONPATH=folder)
    assert done.returncode == 3
    assert done.stderr == (
        "Error: Environment 'HalfCheetah-v5' needs MuJoCo 3.1 or newer, which is not installed. "
        f"Run: {COMMAND}\n"
    )


def test_too_old_it_is_said_in_one_line_with_exit_code_3(rlplug_command, fake_mujoco):
    folder = fake_mujoco("__version__ = '2.3.7'")
    done = rlplug_command("train", "sac", "hopper", "--steps", 100, PYTHONPATH=folder)
    assert done.returncode == 3
    assert done.stderr == (
        "Error: Environment 'Hopper-v5' needs MuJoCo 3.1 or newer; 2.3.7 is installed. "
        f"Run: {COMMAND}\n"
    )


def test_listing_and_planning_need_no_mujoco(rlplug_command, fake_mujoco):
    folder = fake_mujoco("raise RuntimeError('imported')")
    done = rlplug_command("info", "ant", PYTHONPATH=folder)
    assert done.returncode == 0
    assert "--env.terminate_when_unhealthy" in done.stdout


def test_broken_it_is_said_with_the_reason(monkeypatch, fake_mujoco):
    folder = fake_mujoco("raise ImportError('libmujoco.so:\\ncannot open')")
    monkeypatch.delitem(sys.modules, "mujoco")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(PluginError) as caught:
        make.Swimmer()
    assert str(caught.value) == (
        "Environment 'Swimmer-v5' needs MuJoCo 3.1 or newer, which fails to import (libmujoco.so: "
        f"cannot open). Run: {COMMAND}"
    )


def test_warnings_go_to_the_log_and_no_file_is_written(tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.chdir(tmp_path)
    simulator._log_once.cache_clear()
    env = make.HalfCheetah()  # its model file makes MuJoCo warn
    env.reset(seed=0)
    assert not caplog.records
    env.unwrapped.data.qvel[:] = 1e12
    for _ in range(3):
        env.step(np.ones(6, np.float32))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "simulation is unstable" in record.getMessage()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_users_own_handler_of_warnings_stays():
    said = []
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(said.append)
    handler = mujoco.get_mju_user_warning()
    try:
        make.Hopper()
        assert mujoco.get_mju_user_warning() is handler
    finally:
        mujoco.set_mju_user_warning(before)
