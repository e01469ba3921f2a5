"""Rollouts whose every number can be checked by hand, and replays to put them in."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rlplug.data import Rollout
from rlplug.replay.config import ReplayConfig
from rlplug.replay.transitions import build_replay
from rlplug.seeding import Seeds


def _steps(ends: str, *, start=0, rewards=None, stream=0, extras=None) -> Rollout:
    """One stream that shows start, start + 1, …; row t's final observation is t + 0.5.

    `ends` has a character per row: `.` goes on, `t` terminated, `u` truncated, `i` invalid, `l` a
    lost life (terminated, and the episode goes on).
    Actions are the observations, and so are the rewards unless given.
    """
    observation = np.arange(start, start + len(ends), dtype=np.float32)[:, None]
    over = np.array([[end in "tu"] for end in ends])
    final_steps = np.argwhere(over)
    return Rollout(
        observation=observation[:, :, None],
        action=observation.astype(np.int64),
        reward=observation if rewards is None else np.array(rewards, np.float32)[:, None],
        terminated=np.array([[end in "tl"] for end in ends]),
        episode_over=over,
        valid=np.array([[end != "i"] for end in ends]),
        extras={name: np.array(values)[:, None] for name, values in (extras or {}).items()},
        next_observation=np.array([[start + len(ends)]], np.float32),
        final_steps=final_steps,
        final_observation=observation[final_steps[:, 0]] + np.float32(0.5),
        streams=np.array([stream]),
        weights_version=0,
        env_steps=0,
        episodes=(),
    )


_NUMBER = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
_CHOICE = gymnasium.spaces.Discrete(1000)


def _make_replay(
    num_streams=1,
    observation_space=_NUMBER,
    action_space=_CHOICE,
    seed=0,
    directory=None,
    **settings,
):
    return build_replay(
        ReplayConfig(**{"capacity": 100, "gamma": 0.5, **settings}),
        observation_space=observation_space,
        action_space=action_space,
        num_streams=num_streams,
        total_env_steps=1000,
        seeds=Seeds(seed),
        device="cpu",
        directory=directory,
    )


def _drawn(replay, batch_size=400):
    """What can be drawn, by observation: {observation: (reward, discount, next observation)}."""
    (batch,) = replay.minibatches(1, batch_size)
    columns = (batch.observation[:, 0], batch.reward, batch.discount, batch.next_observation[:, 0])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {row[0]: row[1:] for row in sorted(rows)}


@pytest.fixture
def steps():
    return _steps


@pytest.fixture
def make_replay():
    return _make_replay


@pytest.fixture
def drawn():
    return _drawn
