"""A simulation that is saved and restored goes on as if nothing had happened, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import rlplug
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.envs.state import read_state, write_state
from rlplug.errors import CheckpointError
from rlplug.train.run import resume
from rlplug_mujoco import make, plugin
from rlplug_mujoco.config import HumanoidConfig
from rlplug_mujoco.state import MujocoState

BRIEFLY = {
    "agent.network.hidden_sizes": (8,),
    "agent.batch_size": 4,
    "agent.random_env_steps": 30,
    "replay.capacity": 500,
    "train.warmup_env_steps": 20,
    "train.updates_per_env_step": 0.2,
    "env.max_episode_steps": 50,
    "evaluate.every_env_steps": 10_000,
    "evaluate.final_episodes": 1,
    "evaluate.num_envs": 1,
    "checkpoint.every_env_steps": 10_000,
    "tracking.report_every_env_steps": 60,
    "tracking.console": "off",
    "launch.num_envs": 2,
    "launch.threads": 1,
}


def played(env, actions):
    """What comes of each action; episodes start anew where they end."""
    seen = []
    for action in actions:
        observation, *rest = env.step(action)
        seen.append((observation.copy(), *rest))
        if rest[1] or rest[2]:
            seen.append(env.reset())
    return seen


def test_two_hundred_steps_after_a_restored_state_are_the_same(maker):
    env, other = maker(), maker()
    low, high = env.action_space.low, env.action_space.high
    actions = np.random.default_rng(0).uniform(low, high, (240, *low.shape)).astype(low.dtype)
    env.reset(seed=1)
    other.reset(seed=2)
    played(env, actions[:40])  # past the first contact with the ground
    state = read_state(env, MujocoState)
    expected = played(env, actions[40:])
    played(other, actions[:13])
    write_state(other, MujocoState, state)
    np.testing.assert_equal(played(other, actions[40:]), expected)
    assert len(expected) >= 200


def test_reading_the_state_changes_nothing(maker):
    env, other = maker(), maker()
    actions = np.zeros((20, *env.action_space.shape), np.float32)
    env.reset(seed=1)
    other.reset(seed=1)
    for action in actions:
        MujocoState.get(env.unwrapped)
        np.testing.assert_equal(env.step(action), other.step(action))


@pytest.mark.parametrize(("task", "name"), [("Ant", "xpos"), ("Humanoid", "xipos")])
def test_positions_that_lag_behind_the_joints_are_part_of_the_state(task, name):
    env, other = getattr(make, task)(), getattr(make, task)()
    action = env.action_space.high
    env.reset(seed=1)
    other.reset(seed=1)
    played(env, [action] * 10)
    state = read_state(env, MujocoState)
    del state["environment"]["derived"][name]
    write_state(other, MujocoState, state)
    assert env.step(action)[1] != other.step(action)[1]


def test_state_of_another_model_is_refused():
    hopper, ant = make.Hopper().unwrapped, make.Ant().unwrapped
    hopper.reset(seed=0)
    with pytest.raises(CheckpointError, match="saved state of AntEnv holds"):
        MujocoState.set(ant, MujocoState.get(hopper))


def test_a_resumed_run_is_the_unbroken_one_to_the_bit(tmp_path):
    unbroken = rlplug.train("sac", "ant", steps=140, run_dir=tmp_path, **BRIEFLY)
    broken = rlplug.train("sac", "ant", steps=70, run_dir=tmp_path, **BRIEFLY)
    resumed = resume(broken.run_dir, overrides=[("train.steps", "140")])
    assert resumed.evaluation.returns == unbroken.evaluation.returns
    for part in ("agent", "collector", "policy_weights", "trainer"):
        first, second = (
            Path(run.run_dir, "checkpoints", "step-000000140", f"{part}.safetensors")
            for run in (unbroken, resumed)
        )
        assert first.read_bytes() == second.read_bytes(), part


def test_humanoids_in_processes_of_their_own_are_restored_to_those_of_one_process():
    spec = plugin.HUMANOID
    kinds = (("auto", AsyncVectorEnv), ("sync", SyncVectorEnv))
    steps, states = [], []
    for vectorize, kind in kinds:
        config = HumanoidConfig(vectorize=vectorize, max_episode_steps=15)
        vector = make_vector(spec, config, 2)
        assert isinstance(vector, kind)
        adapter = StepAdapter(vector, name=spec.name)
        actions = np.random.default_rng(0).uniform(-0.4, 0.4, (30, 2, 17)).astype(np.float32)
        if states:
            adapter.load_state_dict(states[0])
        else:
            adapter.reset(seed=4)
            for action in actions[:10]:
                adapter.step(action)
            states.append(adapter.state_dict())
        steps.append([])
        for action in actions[10:]:
            step = adapter.step(action)
            steps[-1].append((step.observation.copy(), step.reward, step.final_observation))
        adapter.close()
    np.testing.assert_equal(*steps)
