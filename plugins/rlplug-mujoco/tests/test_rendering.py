"""Frames without a display, or a sentence on what is missing."""

from __future__ import annotations

import os

import numpy as np
import pytest

import rlplug
from rlplug.errors import ConfigError
from rlplug_mujoco import make, rendering

NO_DRIVER = {"MUJOCO_GL": "egl", "__EGL_VENDOR_LIBRARY_DIRS": "/nonexistent"}
"""With these, EGL finds no driver."""


@pytest.fixture
def headless(monkeypatch):
    """A machine without a display, on which nothing has been chosen yet."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "PYOPENGL_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")  # what the code sets is taken back, too


@pytest.fixture
def can_draw(headless):
    """Skips where neither EGL nor OSMesa is installed."""
    reasons = {name: rendering._why_not(name) for name in ("egl", "osmesa")}
    if all("is not installed" in reason for reason in reasons.values()):
        pytest.skip(f"nothing to draw with: {reasons}")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run of a few steps."""
    settings = {
        "agent.network.hidden_sizes": (8,),
        "agent.batch_size": 4,
        "train.warmup_env_steps": 10,
        "train.updates_per_env_step": 0.2,
        "env.max_episode_steps": 4,
        "evaluate.every_env_steps": 1000,
        "evaluate.final_episodes": 1,
        "evaluate.num_envs": 1,
        "tracking.console": "off",
        "launch.threads": 1,
    }
    folder = tmp_path_factory.mktemp("runs")
    return rlplug.train("sac", "reacher", steps=20, run_dir=folder, **settings).run_dir


def test_frames_are_drawn_without_a_display(can_draw):
    env = make.HalfCheetah(render_mode="rgb_array", width=64, height=48)
    assert os.environ["MUJOCO_GL"] in {"egl", "osmesa"}
    env.reset(seed=0)
    frame = env.render()
    env.close()
    assert frame.shape == (48, 64, 3)
    assert frame.dtype == np.uint8
    assert frame.std() > 10  # not one colour


def test_an_evaluation_is_recorded_without_a_display(can_draw, run_dir, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    video = tmp_path / "reacher.mp4"
    report = rlplug.evaluate(run_dir, episodes=1, video=video)
    assert report.lengths == [4]
    assert video.stat().st_size > 1000


def test_without_a_driver_the_command_says_so_and_exits_with_2(headless, run_dir, rlplug_command):
    pytest.importorskip("imageio_ffmpeg")
    done = rlplug_command("eval", run_dir, "--video", "reacher.mp4", **NO_DRIVER)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Cannot draw 'Reacher-v5' on this machine (egl: ")
    assert done.stderr.endswith("apt-get install libosmesa6).\n")
    assert done.stderr.count("\n") == 1


def test_every_way_is_tried_and_the_first_that_draws_is_kept(headless, monkeypatch):
    tried = []

    def why_not(backend):
        tried.append(backend)
        return "" if backend == "osmesa" else "broken"

    monkeypatch.setattr(rendering, "_why_not", why_not)
    rendering.prepare("Ant-v5")
    assert tried == ["egl", "osmesa"]
    assert os.environ["MUJOCO_GL"] == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv("DISPLAY", ":0")
    tried.clear()
    rendering.prepare("Ant-v5")
    assert tried == ["glfw", "egl", "osmesa"]


def test_where_nothing_draws_every_reason_is_named(headless, monkeypatch):
    monkeypatch.setattr(rendering, "_why_not", lambda backend: f"no {backend} here")
    with pytest.raises(ConfigError) as caught:
        rendering.prepare("Ant-v5")
    assert str(caught.value).startswith(
        "Cannot draw 'Ant-v5' on this machine (egl: no egl here; osmesa: no osmesa here). Install"
    )


def test_a_choice_of_the_users_is_the_only_one_tried(headless, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(rendering, "_why_not", lambda backend: f"no {backend}")
    with pytest.raises(ConfigError, match=r"\(osmesa: no osmesa\)"):
        rendering.prepare("Ant-v5")
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(ConfigError, match="MUJOCO_GL is 'vulkan'; Gymnasium draws with one of"):
        rendering.prepare("Ant-v5")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(rendering.ctypes.util, "find_library", lambda name: None)
    rendering._why_not.cache_clear()
    assert rendering._why_not("osmesa") == "the library OSMesa is not installed"
    rendering._why_not.cache_clear()


def test_training_needs_nothing_to_draw_with(monkeypatch):
    def fail(name):
        raise AssertionError(name)

    monkeypatch.setattr(rendering, "prepare", fail)
    assert make.Reacher().render_mode is None
