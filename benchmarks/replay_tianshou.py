"""Tianshou's replay, filled and drawn from for `benchmarks.replay`."""

from __future__ import annotations

from typing import Any

import numpy as np
from tianshou.data import Batch, PrioritizedReplayBuffer, ReplayBuffer

from benchmarks.replay_work import EPISODE_LENGTH, Filled, Work, arrays_nbytes, episodes

LEAN = {"ignore_obs_next": True, "save_only_last_obs": True, "stack_num": 4}
"""Of stacks the newest frame alone, from which `sample` makes the stacks again."""


def fill(work: Work) -> Filled:
    """Its buffer for one environment. It draws numpy arrays, the next observation among them."""
    settings: dict[str, Any] = LEAN if work.is_lean else {}
    buffer: Any
    if work.is_prioritized:
        buffer = PrioritizedReplayBuffer(work.capacity, alpha=0.6, beta=0.4, **settings)
    else:
        buffer = ReplayBuffer(work.capacity, **settings)
    for observation, following in episodes(work):
        for t in range(EPISODE_LENGTH):
            step: Any = Batch(
                obs=observation[t],
                act=0,
                rew=1.0,
                terminated=t == EPISODE_LENGTH - 1,
                truncated=False,
                obs_next=following[t],
                info={},
            )
            buffer.add(step)

    def draw(count: int, batch_size: int) -> None:
        priorities = np.random.default_rng(0).random(batch_size)
        for _ in range(count):
            _, index = buffer.sample(batch_size)
            if work.is_prioritized:
                buffer.update_weight(index, priorities)

    return Filled(stored_nbytes(buffer), {"singly": draw})


def stored_nbytes(buffer: ReplayBuffer) -> int:
    """Bytes of what it keeps of each step, and of its tree of priorities."""
    kept = arrays_nbytes(buffer._meta)
    tree = getattr(buffer, "weight", None)
    return kept if tree is None else kept + arrays_nbytes(tree)
