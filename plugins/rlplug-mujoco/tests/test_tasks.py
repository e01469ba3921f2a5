"""The tasks are Gymnasium's, under short names, with their settings as options."""

from __future__ import annotations

import ast
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import rlplug_mujoco
from rlplug.envs.config import EnvConfig
from rlplug.errors import ConfigError
from rlplug.registry import discovery
from rlplug_mujoco import make

NAMES = {
    "halfcheetah",
    "hopper",
    "walker2d",
    "ant",
    "humanoid",
    "humanoid-standup",
    "swimmer",
    "reacher",
    "pusher",
    "inverted-pendulum",
    "inverted-double-pendulum",
}


def config_of(spec):
    return discovery.import_string(spec.config)


def test_all_eleven_tasks_are_registered(specs):
    assert set(specs) == NAMES
    assert set(discovery.names("environments")) >= NAMES


def test_a_task_is_found_by_its_name_its_family_and_its_gymnasium_id(spec, maker):
    names = (spec.name, f"mujoco/{spec.name}", maker.gymnasium_id, f"rlplug-mujoco:{spec.name}")
    for name in names:
        assert discovery.resolve_environment(name) == spec


def test_settings_are_gymnasiums_arguments_with_gymnasiums_defaults(spec, maker):
    config = config_of(spec)()
    own = type(config).model_fields.keys() - EnvConfig.model_fields.keys()
    assert own
    theirs = maker.parameters()
    for name in own:
        value = make._without_bound(name, getattr(config, name))
        assert value == theirs[name], name
        assert type(config).model_fields[name].description


def test_no_setting_of_a_task_is_missing(spec, maker):
    about_drawing = {
        "width",
        "height",
        "camera_id",
        "camera_name",
        "default_camera_config",
        "max_geom",
        "visual_options",
    }
    assert maker.parameters().keys() - config_of(spec).model_fields.keys() == about_drawing


def test_steps_are_those_of_the_bare_environment(spec, maker):
    settings = config_of(spec)()
    own = type(settings).model_fields.keys() - EnvConfig.model_fields.keys()
    ours = maker(**{name: getattr(settings, name) for name in own})
    bare = gymnasium.make(maker.gymnasium_id)
    assert ours.spec.max_episode_steps == bare.spec.max_episode_steps
    np.testing.assert_equal(ours.reset(seed=3), bare.reset(seed=3))
    ours.action_space.seed(0)
    for _ in range(40):
        action = ours.action_space.sample()
        step = ours.step(action)
        np.testing.assert_equal(step, bare.step(action))
        if step[2] or step[3]:
            np.testing.assert_equal(ours.reset(), bare.reset())


def test_options_reach_the_environment():
    free = make.HalfCheetah(ctrl_cost_weight=0.0)
    free.reset(seed=0)
    action = np.ones(6, np.float32)
    assert free.step(action)[4]["reward_ctrl"] == 0
    seen = make.HalfCheetah(exclude_current_positions_from_observation=False)
    assert seen.observation_space.shape == (18,)
    assert make.HalfCheetah(frame_skip=3).unwrapped.dt == pytest.approx(0.03)
    tall = make.Hopper(healthy_z_range=(None, 0.5)).unwrapped
    assert tall._healthy_z_range == (-float("inf"), 0.5)


def test_a_fall_is_terminated_and_the_end_of_time_truncated():
    hopper = make.Hopper(max_episode_steps=400)
    hopper.reset(seed=0)
    step = hopper.step(np.ones(3, np.float32))
    while not (step[2] or step[3]):
        step = hopper.step(np.ones(3, np.float32))
    assert step[2:4] == (True, False)
    tireless = make.Hopper(max_episode_steps=7, terminate_when_unhealthy=False)
    tireless.reset(seed=0)
    ends = [tireless.step(np.ones(3, np.float32))[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]


def test_an_argument_that_a_task_does_not_take_is_refused():
    with pytest.raises(ConfigError, match=r"Ant-v5 takes no 'legs'; it takes: frame_skip, "):
        make.Ant(legs=5)


def test_a_model_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"env\.xml_file: File ./nowhere.xml does not exist\."):
        make.Ant(xml_file="./nowhere.xml")


def test_only_public_names_of_rlplug_are_used():
    public = {
        ("rlplug.config", "Count"),
        ("rlplug.envs.config", "EnvConfig"),
        ("rlplug.errors", "CheckpointError"),
        ("rlplug.errors", "ConfigError"),
        ("rlplug.errors", "PluginError"),
        ("rlplug.specs", "EnvironmentSpec"),
    }
    files = Path(rlplug_mujoco.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text()) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {(node.module, one.name) for node in nodes for one in node.names}
    assert {name for name in used if name[0].split(".")[0] == "rlplug"} <= public
