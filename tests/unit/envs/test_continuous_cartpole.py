import gymnasium
import numpy as np
import pytest

from rlplug.envs.continuous_cartpole import make_continuous_cartpole


def play(env, actions):
    first, _ = env.reset(seed=3)
    return [first, *(env.step(action)[0] for action in actions)]


def push(*values):
    return [np.array([value], np.float32) for value in values]


def test_full_force_is_the_discrete_environment():
    ours = play(make_continuous_cartpole(), push(1, -1, -1, 1, 1))
    theirs = play(gymnasium.make("CartPole-v1"), [1, 0, 0, 1, 1])
    np.testing.assert_array_equal(ours, theirs)


def test_cart_accelerates_in_proportion_to_the_action():
    def speed_after(action: float) -> float:
        return float(play(make_continuous_cartpole(), push(action))[1][1])

    rest, half, full = speed_after(0.0), speed_after(0.5), speed_after(1.0)
    assert full - rest == pytest.approx(2 * (half - rest), rel=1e-4)
    assert half > rest > speed_after(-0.5)


def test_action_is_clipped_to_its_space():
    strong = play(make_continuous_cartpole(), push(7, -7))
    np.testing.assert_array_equal(strong, play(make_continuous_cartpole(), push(1, -1)))


def test_space_and_time_limit():
    env = make_continuous_cartpole()
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    env = make_continuous_cartpole(max_episode_steps=3, sutton_barto_reward=True)
    env.reset(seed=0)
    steps = [env.step(action) for action in push(0, 0, 0)]
    assert [step[3] for step in steps] == [False, False, True]
    assert steps[0][1] == 0


def test_nothing_is_registered_globally():
    assert not [name for name in gymnasium.registry if "Continuous" in name and "CartPole" in name]
