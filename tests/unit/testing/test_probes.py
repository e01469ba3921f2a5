import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from rlplug.envs.state import read_state, write_state
from rlplug.testing.probes import (
    PROBES,
    ActionChoice,
    ActionFromObservation,
    BoxBounds,
    ConstantReward,
    DiscountedReward,
    NStepTruncation,
    Recall,
    ValueFromObservation,
)

every_probe = pytest.mark.parametrize("name", PROBES)
GAMMA = 0.9


def play(env, episodes, act):
    """Yield (state, action, reward, terminated, truncated, next state) as played."""
    env.reset(seed=0)
    for _ in range(episodes):
        env.reset()
        over = False
        while not over:
            state = env.get_state()["state"]
            action = act(env, state)
            observation, reward, terminated, truncated, _ = env.step(action)
            after = env.get_state()["state"]
            assert np.array_equal(observation, env.observations[after])
            yield state, action, reward, terminated, truncated, after
            over = terminated or truncated


def best(env, state):
    return env.best_actions[state]


@every_probe
def test_played_transitions_under_the_best_action_satisfy_the_bellman_equation(name):
    env = PROBES[name].make()
    value = env.expected_value(GAMMA)
    visited = set()
    for state, _, reward, terminated, _, after in play(env, 40, best):
        # a truncated episode bootstraps from its final observation
        bootstrap = 0.0 if terminated else GAMMA * value[after]
        assert value[state] == pytest.approx(reward + bootstrap, abs=1e-6)
        visited.add(state)
    assert visited == set(range(len(env.observations)))


@every_probe
def test_no_action_earns_more_than_the_best_one(name):
    env = PROBES[name].make()
    rng = np.random.default_rng(0)
    if isinstance(env.action_space, spaces.Discrete):
        actions = range(int(env.action_space.start), int(env.action_space.start + 2))
    else:
        actions = rng.uniform(env.action_space.low, env.action_space.high, (200, 1, 2))[..., 0, :]
        actions = actions[:, : env.action_space.shape[0]]
    for state, action in enumerate(env.best_actions):
        top = env.reward(state, action)
        assert all(env.reward(state, other) <= top + 1e-9 for other in actions)


@every_probe
def test_the_best_q_value_of_each_state_is_its_value(name):
    env = PROBES[name].make()
    if PROBES[name].is_box:
        with pytest.raises(TypeError, match="no finite number of actions"):
            env.expected_q_values(GAMMA)
        return
    table = env.expected_q_values(GAMMA)
    np.testing.assert_allclose(table.max(axis=1), env.expected_value(GAMMA))
    columns = env.best_actions - env.action_space.start
    rows = np.arange(len(table))
    np.testing.assert_allclose(table[rows, columns], table.max(axis=1))


@every_probe
def test_a_probe_passes_gymnasiums_own_checker(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on symmetric and normalised action boxes
        check_env(PROBES[name].make(), skip_render_check=True)


@every_probe
def test_an_action_outside_the_space_is_refused(name):
    env = PROBES[name].make()
    env.reset(seed=0)
    outside = np.full(env.action_space.shape, 99, env.action_space.dtype)
    with pytest.raises(ValueError, match="is not in"):
        env.step(outside)


@every_probe
def test_a_restored_state_continues_with_the_same_episodes(name):
    env, other = PROBES[name].make(), PROBES[name].make()
    env.reset(seed=3)
    env.step(env.best_actions[0])
    other.reset(seed=4)
    write_state(other, None, read_state(env, None))

    def next_rows(env):
        rows = [env.step(env.best_actions[0])[:4]]
        for _ in range(5):
            rows.append(env.reset()[0])
            rows.append(env.step(env.best_actions[0])[:4])
        return rows

    assert repr(next_rows(env)) == repr(next_rows(other))


def test_values_are_the_ones_computed_by_hand():
    assert ValueFromObservation().expected_value(0.5).tolist() == [-1.0, 1.0]
    assert DiscountedReward().expected_value(0.5).tolist() == [0.5, 1.0]
    assert ConstantReward(truncated=True).expected_value(0.5).tolist() == [2.0, 2.0, 2.0]
    assert ConstantReward(truncated=False).expected_value(0.5).tolist() == [1.75, 1.5, 1.0]
    assert ConstantReward(truncated=False).expected_value(1.0).tolist() == [3.0, 2.0, 1.0]
    ring = NStepTruncation(phases=3).expected_value(0.5)
    np.testing.assert_allclose(ring, [8 / 7, 2 / 7, 4 / 7])
    assert Recall(delay=2).expected_value(0.5).tolist() == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    assert ActionChoice().expected_q_values(0.5).tolist() == [[-1.0, 1.0]]
    assert ActionFromObservation(start=3).expected_q_values(0.5).tolist() == [[1, -1], [-1, 1]]


def test_truncation_and_termination_differ_in_the_flag_alone():
    truncated = list(play(ConstantReward(truncated=True), 3, best))
    terminated = list(play(ConstantReward(truncated=False), 3, best))
    assert [row[:3] + row[5:] for row in truncated] == [row[:3] + row[5:] for row in terminated]
    assert [row[3:5] for row in truncated] == [(False, False), (False, False), (False, True)] * 3
    assert [row[3:5] for row in terminated] == [(False, False), (False, False), (True, False)] * 3


def test_n_step_truncation_starts_in_every_phase_and_never_goes_round():
    rows = list(play(NStepTruncation(phases=5, time_limit=2), 50, best))
    assert {row[0] for row in rows[::2]} == set(range(5))
    assert all(row[4] for row in rows[1::2])
    assert not any(row[3] for row in rows)


def test_recall_shows_the_cue_once_and_pays_nothing_on_average_without_memory():
    env = Recall(delay=3)
    shown = env.observations
    assert shown[:2].tolist() == [[-1, 0], [1, 0]]
    assert shown[2:6].tolist() == [[0, 0]] * 4
    assert shown[6:].tolist() == [[0, 1]] * 2
    for action in (0, 1):
        earned = [env.reward(state, action) for state in (6, 7)]
        assert sorted(earned) == [-1.0, 1.0]


def test_box_bounds_pays_about_half_to_actions_that_were_never_scaled():
    env = BoxBounds()
    unscaled = env.reward(0, np.array([-1.0, 1.0], np.float32))
    assert unscaled == pytest.approx(1 - (0.75**2 + 0.625**2) / 2)


def test_probes_work_in_a_vector_environment_of_gymnasium():
    vector = gymnasium.vector.SyncVectorEnv([PROBES["truncation"].make] * 3)
    vector.reset(seed=0)
    reward = vector.step(np.zeros(3, np.int64))[1]
    assert reward.tolist() == [1.0, 1.0, 1.0]
    vector.close()


def test_each_environment_draws_its_actions_from_a_generator_of_its_own():
    first, second = PROBES["choice-of-action-box"].make(), PROBES["recall-box"].make()
    assert first.action_space is not second.action_space
