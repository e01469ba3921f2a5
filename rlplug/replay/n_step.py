"""n-step returns of stored rows: how far each window goes, what it earns, where it bootstraps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from rlplug.data import Array
    from rlplug.replay.config import RewardTransform
    from rlplug.replay.storage import TransitionStorage


class Returns(NamedTuple):
    """What `M` windows came to."""

    last_slot: Array
    """`[M]` of the row whose next observation the return is bootstrapped from."""
    reward: Array
    """`[M]` float32 Σ γʲ rⱼ over the k steps of the window, after the transform."""
    discount: Array
    """`[M]` float32 γᵏ, and 0 where the episode terminated."""


class NStep:
    """Windows of `n_step` rows that never cross the end of an episode, or of a life.

    A window that reaches the end takes the k < n steps up to there: the return is complete where
    the episode terminated, and bootstrapped from the real final observation where it did not.
    The newest rows of an episode that goes on wait until their window is full: a transition is
    the same whenever it is drawn, and a priority written for it stays true.
    """

    def __init__(self, gamma: float, n_step: int, reward: RewardTransform) -> None:
        self.n_step = n_step
        self._reward = reward
        self._steps = np.arange(n_step)
        self._powers = gamma ** np.arange(n_step + 1, dtype=np.float64)

    def drawable(self, storage: TransitionStorage) -> tuple[Array, Array]:
        """`[S]` first index, and one past the last, of each stream's rows with a whole window."""
        full = np.maximum(storage.written - self.n_step + 1, storage.episode_start)
        return storage.oldest, np.maximum(full, storage.oldest)

    def returns(self, storage: TransitionStorage, slot: Array) -> Returns:
        """The windows that begin at the rows in the slots `[M]`."""
        if self.n_step == 1:
            last_slot, reward = slot, self._transform(storage.reward.take(slot))
            powers: Array = self._powers[1:]
        else:
            length, reward = self._windows(storage, slot)
            last_slot = (slot + (length - 1) * storage.num_streams) % storage.num_slots
            powers = self._powers[length]
        discount = np.where(storage.terminated.take(last_slot), 0.0, powers)
        return Returns(
            last_slot, reward.astype(np.float32, copy=False), discount.astype(np.float32)
        )

    def _windows(self, storage: TransitionStorage, slot: Array) -> tuple[Array, Array]:
        """Length `[M]` and discounted reward `[M]` float64 of each window."""
        slots = (slot[:, None] + self._steps * storage.num_streams) % storage.num_slots  # [M, n]
        ends = storage.episode_over(slots) | storage.terminated[slots]
        ends[:, -1] = True
        length = ends.argmax(axis=1) + 1
        raw_reward = np.where(self._steps < length[:, None], storage.reward[slots], 0.0)
        return length, (self._transform(raw_reward) * self._powers[:-1]).sum(axis=1)

    def _transform(self, raw_reward: Array) -> Array:
        reward = raw_reward * self._reward.scale
        clip = self._reward.clip
        return reward if clip is None else np.clip(reward, -clip, clip)
