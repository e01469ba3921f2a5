"""TorchRL's prioritised replay, filled and drawn from for `benchmarks.replay`."""

from __future__ import annotations

import os
import sys

import numpy as np
import torch

from benchmarks.replay_work import EPISODE_LENGTH, Filled, Work, episodes

flags = sys.getdlopenflags()
# a wheel made for another torch misses symbols that its tree does not use: bind when called
sys.setdlopenflags(os.RTLD_LAZY)
from tensordict import TensorDict  # noqa: E402
from torchrl._torchrl import SumSegmentTreeFp32  # noqa: E402, F401
from torchrl.data import LazyTensorStorage, TensorDictPrioritizedReplayBuffer  # noqa: E402

sys.setdlopenflags(flags)


def fill(work: Work) -> Filled:
    """Its buffer of tensordicts, with the segment trees that it compiled."""
    buffer = TensorDictPrioritizedReplayBuffer(
        alpha=0.6, beta=0.4, storage=LazyTensorStorage(work.capacity)
    )
    size = [EPISODE_LENGTH]
    is_over = torch.arange(EPISODE_LENGTH) == EPISODE_LENGTH - 1
    for observation, following in episodes(work):
        after = {
            "observation": torch.from_numpy(np.ascontiguousarray(following)),
            "reward": torch.ones(size),
            "done": is_over,
        }
        before = {
            "observation": torch.from_numpy(observation),
            "action": torch.zeros(size, dtype=torch.int64),
        }
        buffer.extend(TensorDict({**before, "next": after}, batch_size=size))

    def draw(count: int, batch_size: int) -> None:
        priorities = torch.rand(batch_size)
        for _ in range(count):
            batch = buffer.sample(batch_size)
            batch["td_error"] = priorities
            buffer.update_tensordict_priority(batch)

    nbytes = sum(leaf.nbytes for leaf in buffer.storage.get(slice(None)).values(True, True))
    return Filled(nbytes, {"singly": draw})
