import gymnasium
import numpy as np

from rlplug.envs.cartpole_positions import make_cartpole_positions
from rlplug.envs.state import read_state, write_state


def test_it_is_cartpole_with_the_velocities_left_out():
    ours, theirs = make_cartpole_positions(), gymnasium.make("CartPole-v1")
    seen, _ = ours.reset(seed=3)
    whole, _ = theirs.reset(seed=3)
    for action in (1, 0, 0, 1, 1, 1):
        np.testing.assert_array_equal(seen, whole[[0, 2]])
        assert ours.observation_space.contains(seen)
        seen, *ours_rest = ours.step(action)
        whole, *theirs_rest = theirs.step(action)
        assert ours_rest == theirs_rest


def test_an_episode_can_be_continued_elsewhere():
    env = make_cartpole_positions(max_episode_steps=5)
    env.reset(seed=0)
    env.step(1)
    other = make_cartpole_positions(max_episode_steps=5)
    other.reset(seed=9)
    write_state(other, None, read_state(env, None))
    for _ in range(4):
        left, right = env.step(1), other.step(1)
        np.testing.assert_array_equal(left[0], right[0])
    assert left[3] is right[3] is True
