from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rlplug.testing.worlds import World, make_scripted_vector

KINDS = ["box", "image", "discrete", "multi-discrete", "multi-binary", "dict", "tuple"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_shows_and_takes_what_it_declares(kind: str) -> None:
    env = World(kind, kind if kind != "image" else "box", ["box", "discrete"], ["discrete", "box"])
    env.action_space.seed(0)
    ends = []
    observation, _ = env.reset(seed=0)
    for _ in range(22):
        assert env.observation_space.contains(observation)
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert np.isfinite(reward)
        if terminated or truncated:
            ends.append(terminated)
            observation, _ = env.reset()
    assert ends == [True, False, False, True]


def test_rewards_cease_to_be_numbers_when_asked_to() -> None:
    env = World(nan_after=2)
    env.reset(seed=0)
    assert [np.isnan(env.step(0)[1]) for _ in range(4)] == [False, False, True, True]


def test_a_world_goes_on_from_its_state() -> None:
    env, other = World(), World()
    env.reset(seed=0)
    env.step(1)
    other.reset(seed=9)
    other.set_state(env.get_state())
    np.testing.assert_array_equal(env.step(1)[0], other.step(1)[0])


def test_scripted_environments_are_out_of_step() -> None:
    env = make_scripted_vector(3, mode="NextStep", action="discrete")
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    ends = [np.logical_or(*env.step(np.zeros(3, np.int64))[2:4]).tolist() for _ in range(3)]
    assert ends == [[False, False, False], [False, True, False], [True, False, False]]
