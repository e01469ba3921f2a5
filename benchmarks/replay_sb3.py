"""Stable-Baselines3's replay, filled and drawn from for `benchmarks.replay`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from benchmarks.replay_work import (
    EPISODE_LENGTH,
    NUM_ACTIONS,
    STACK_SHAPE,
    VECTOR_SHAPE,
    Filled,
    Work,
    arrays_nbytes,
    episodes,
)

SPACES = {
    "vectors": gymnasium.spaces.Box(-1, 1, VECTOR_SHAPE),
    "stacks": gymnasium.spaces.Box(0, 255, STACK_SHAPE, np.uint8),
}


def fill(work: Work) -> Filled:
    """Its uniform buffer; it has no other. It draws torch tensors."""
    lean: dict[str, Any] = {"optimize_memory_usage": True, "handle_timeout_termination": False}
    buffer = ReplayBuffer(
        work.capacity,
        SPACES[work.observation],
        gymnasium.spaces.Discrete(NUM_ACTIONS),
        device="cpu",
        **(lean if work.is_lean else {}),
    )
    action, reward = np.zeros(1), np.ones(1)
    for observation, following in episodes(work):
        for t in range(EPISODE_LENGTH):
            over = np.array([t == EPISODE_LENGTH - 1])
            buffer.add(observation[t], following[t], action, reward, over, [{}])

    def draw(count: int, batch_size: int) -> None:
        for _ in range(count):
            buffer.sample(batch_size)

    return Filled(arrays_nbytes(buffer), {"singly": draw})
