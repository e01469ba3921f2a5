"""Our replay, filled and drawn from for `benchmarks.replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch

from benchmarks.replay_work import (
    EPISODE_LENGTH,
    NUM_ACTIONS,
    STACK_SHAPE,
    VECTOR_SHAPE,
    Filled,
    Work,
    episodes,
)
from rlplug.data import Rollout
from rlplug.replay.config import PrioritizedSampler, ReplayConfig, UniformSampler
from rlplug.replay.transitions import TransitionReplay, build_replay
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from benchmarks.replay_work import Draw
    from rlplug.data import Array

SPACES = {
    "vectors": gymnasium.spaces.Box(-1, 1, VECTOR_SHAPE),
    "stacks": gymnasium.spaces.Box(0, 255, STACK_SHAPE, np.uint8),
}
IS_OVER = (np.arange(EPISODE_LENGTH) == EPISODE_LENGTH - 1)[:, None]


def rollout(observation: Array, following: Array) -> Rollout:
    """An episode of one environment."""
    return Rollout(
        observation=observation[:, None],
        action=np.zeros(IS_OVER.shape, np.int64),
        reward=np.ones(IS_OVER.shape, np.float32),
        terminated=IS_OVER,
        episode_over=IS_OVER,
        valid=np.ones_like(IS_OVER),
        extras={},
        next_observation=observation[:1],
        final_steps=np.argwhere(IS_OVER),
        final_observation=following[-1:],
        streams=np.arange(1),
        weights_version=0,
        env_steps=0,
        episodes=(),
    )


def fill(work: Work) -> Filled:
    """Frames stored once where the observation is a stack: our default, and our leanest form."""
    sampler = PrioritizedSampler() if work.is_prioritized else UniformSampler()
    replay = build_replay(
        ReplayConfig(capacity=work.capacity, sampler=sampler),
        observation_space=SPACES[work.observation],
        action_space=gymnasium.spaces.Discrete(NUM_ACTIONS),
        num_streams=1,
        total_env_steps=1_000_000,
        seeds=Seeds(0),
        device="cpu",
        directory=None,
    )
    for observation, following in episodes(work):
        replay.add(rollout(observation, following))
    return Filled(replay.nbytes, {"at once": at_once(replay), "singly": singly(replay)})


def at_once(replay: TransitionReplay) -> Draw:
    """The minibatches of many updates, as after a long rollout."""

    def draw(count: int, batch_size: int) -> None:
        priorities = torch.rand(batch_size)
        for batch in replay.minibatches(count, batch_size):
            replay.update_priorities(batch.replay_index, priorities)

    return draw


def singly(replay: TransitionReplay) -> Draw:
    """One minibatch a call, as with one update after each step."""

    def draw(count: int, batch_size: int) -> None:
        priorities = torch.rand(batch_size)
        for _ in range(count):
            for batch in replay.minibatches(1, batch_size):
                replay.update_priorities(batch.replay_index, priorities)

    return draw
