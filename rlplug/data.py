"""The nouns: what moves between collector, replay, agent and trackers.

Arrays from environments and policies are numpy; batches for `Agent.update` are torch tensors.
`Tree` stands for an array or a nested dict or tuple of arrays, so that dict observations and
mixed actions travel like any other. Axes: `T` time, `N` environments, `B` minibatch, `F` episode
ends inside a rollout. This module imports no torch: its annotations are names only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]
Tree: TypeAlias = Any
"""An array, or a nested dict or tuple of arrays that share their leading axes."""
Weights: TypeAlias = "dict[str, Tensor]"
"""Network parameters and normaliser statistics, as they travel to workers."""


class EpisodeStats(NamedTuple):
    """One finished episode: undiscounted, unclipped, in environment steps."""

    stream: int
    """Global index of the environment it was played in."""
    episode_return: float
    """Sum of raw rewards."""
    episode_length: int
    """Environment steps."""
    env_steps: int
    """Global count of environment steps when it ended."""


class Rollout(NamedTuple):
    """A time-major block of one-step facts, as a collector returns it.

    Row `(t, n)` holds what environment `n` showed, what was done and what came of it. The
    observation that follows row `(t, n)` is row `(t + 1, n)`'s (`next_observation[n]` for the last
    row), except where `episode_over`: there it is the real final observation, kept sparsely in
    `final_observation` in the order of `final_steps`.
    """

    observation: Tree
    """`[T, N, *obs]` in the environment's dtype."""
    action: Tree
    """`[T, N, ...]` as the policy chose it, before any clipping by the environment."""
    reward: Array
    """`[T, N]` float32 raw reward: not clipped, not scaled."""
    terminated: Array
    """`[T, N]` bool: the value of what follows is zero. Also after a lost life, where the game
    goes on and `episode_over` is False."""
    episode_over: Array
    """`[T, N]` bool: the stored sequence breaks after this row (terminated, truncated or cut)."""
    valid: Array
    """`[T, N]` bool: False on rows that are no transition (resets under NEXT_STEP)."""
    extras: dict[str, Tree]
    """`[T, N, ...]` what the policy returned beside the action."""
    next_observation: Tree
    """`[N, *obs]` what the policy acts on next."""
    final_steps: Array
    """`[F, 2]` int64 `(t, n)` of each row with `episode_over`, ordered by t, then n."""
    final_observation: Tree
    """`[F, *obs]` the observation after the last action of those episodes, before any reset."""
    streams: Array
    """`[N]` int64 global indices of the environments."""
    weights_version: int
    """Updates that had been made to the weights that acted."""
    env_steps: int
    """Global count of environment steps after this block."""
    episodes: tuple[EpisodeStats, ...]
    """Episodes that ended inside this block."""
    is_restart: bool = False
    """The environments were started anew before the first row, as after the loss of their worker:
    what these streams held before is not to be joined to it."""

    @property
    def num_env_steps(self) -> int:
        """Transitions in this block: its valid rows."""
        return int(np.count_nonzero(self.valid))


class TransitionBatch(NamedTuple):
    """A minibatch of transitions `[B]`, built by a replay sampler and ready for `Agent.update`."""

    observation: Tree
    """`[B, *obs]`"""
    action: Tree
    """`[B, ...]`; int64 for discrete actions."""
    reward: Tensor
    """`[B]` n-step discounted sum, after the configured reward transform."""
    discount: Tensor
    """`[B]` γᵏ after k steps, and 0 where the episode terminated within them."""
    next_observation: Tree
    """`[B, *obs]` k steps later; the real final observation where the episode ended."""
    importance_weight: Tensor
    """`[B]` ones when sampling is uniform."""
    replay_index: Tensor
    """`[B]` int64 handles for `Replay.update_priorities`."""


class UpdateResult(NamedTuple):
    """What one optimizer step reports; tensors stay on the device until a report reads them."""

    metrics: dict[str, Tensor]
    """Scalars by name."""
    priorities: Tensor | None = None
    """`[B]` new priorities (before the exponent) of the batch, or None."""
