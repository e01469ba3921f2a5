"""A lost life is an end for learning, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from rlplug.collect.local import LocalCollector
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.seeding import Seeds
from rlplug_atari.config import AtariConfig
from rlplug_atari.plugin import environment

BREAKOUT = environment("breakout")
LIVES = 5


@pytest.fixture
def played(random_policy):
    """Play two games of Breakout for one rollout."""

    def play(config, num_env_steps, *, evaluation=False):
        vector = make_vector(BREAKOUT, config, 2, evaluation=evaluation)
        adapter = StepAdapter(vector, name="breakout")
        policy = random_policy(2, vector.single_action_space.n)
        collector = LocalCollector(adapter, policy, streams=np.arange(2), seeds=Seeds(0))
        (rollout,) = collector.collect(num_env_steps)
        collector.close()
        return rollout

    return play


@pytest.mark.parametrize("vectorize", ["auto", "sync"])
def test_training_ends_at_each_life_and_reports_whole_games(played, vectorize):
    config = AtariConfig(vectorize=vectorize, fire_on_reset=True)
    rollout = played(config, 800)
    assert len(rollout.episodes) >= 2
    for episode in rollout.episodes[:2]:
        rows = slice(episode.episode_length)
        terminated = rollout.terminated[rows, episode.stream]
        over = rollout.episode_over[rows, episode.stream]
        assert terminated.sum() == LIVES
        assert over.nonzero()[0].tolist() == [episode.episode_length - 1]
        assert rollout.reward[rows, episode.stream].sum() == episode.episode_return
    assert len(rollout.final_observation) == rollout.episode_over.sum()


def test_evaluation_and_whole_games_end_with_the_game(played):
    for config, evaluation in ((AtariConfig(), True), (AtariConfig(episodic_life=False), False)):
        rollout = played(config, 500, evaluation=evaluation)
        np.testing.assert_array_equal(rollout.terminated, rollout.episode_over)


def test_rewards_are_the_games_own():
    vector = make_vector(environment("assault"), AtariConfig(), 4)
    vector.reset(seed=0)
    rng = np.random.default_rng(0)
    rewards = [vector.step(rng.integers(0, 7, 4))[1].max() for _ in range(60)]
    assert max(rewards) == 21  # of one enemy
    vector.close()


@pytest.mark.parametrize("vectorize", ["auto", "sync"])
def test_running_out_of_frames_truncates(vectorize):
    config = AtariConfig(max_frames=80, vectorize=vectorize, max_noop_frames=0)
    vector = make_vector(environment("pong"), config, 1)
    vector.reset(seed=0)
    ends = [vector.step(np.zeros(1, np.int64))[2:4] for _ in range(40)]
    terminated, truncated = np.array(ends)[:, :, 0].T
    assert not terminated.any()
    assert truncated.nonzero()[0].tolist() == [19, 39]
    vector.close()
