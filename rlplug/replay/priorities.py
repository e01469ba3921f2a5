"""Priorities of new transitions, computed where the policy acts (Ape-X).

rollout ─► a storage of its own ─► n-step windows ─► policy.priorities(batch) [B] ─► [T, N]

Storage and windows are the replay's, so that a batch is what the learner would draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.errors import ConfigError
from rlplug.protocols import PrioritizingPolicy
from rlplug.replay.layout import Layout
from rlplug.replay.n_step import NStep
from rlplug.replay.storage import TransitionStorage
from rlplug.replay.transitions import build_batch

if TYPE_CHECKING:
    import gymnasium

    from rlplug.data import Array, Rollout
    from rlplug.protocols import Policy
    from rlplug.replay.config import ReplayConfig

_ROWS_AT_ONCE = 512
"""Transitions that the policy is asked about in one call, which bounds its memory."""


def build_rollout_priorities(
    config: ReplayConfig,
    policy: Policy,
    *,
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
    device: str,
) -> RolloutPriorities | None:
    """What a collector asks for the priorities of its rollouts; None where nobody reads them.

    Raises:
        ConfigError: the sampler wants them, and the policy has none to give.
    """
    if config.sampler.kind != "prioritized" or config.sampler.new_priority != "policy":
        return None
    if not isinstance(policy, PrioritizingPolicy):
        raise ConfigError(
            "replay.sampler.new_priority is 'policy', but the policy of this algorithm computes "
            "no priorities. Set it to 'highest'."
        )
    layout = Layout(observation_space, action_space, "whole")
    n_step = NStep(config.gamma, config.n_step, config.reward)
    return RolloutPriorities(policy, layout, n_step, device)


class RolloutPriorities:
    """The priority of each row of a rollout, by the weights that acted.

    A rollout counts as cut where it ends: the last n − 1 rows of an episode that goes on get the
    window up to there, bootstrapped from the observation to act on next. The replay draws them
    only once their window is full, with the error of the shorter one as their first priority.
    """

    def __init__(
        self, policy: PrioritizingPolicy, layout: Layout, n_step: NStep, device: str
    ) -> None:
        self._policy = policy
        self._layout = layout
        self._n_step = n_step
        self._device = device

    def __call__(self, rollout: Rollout) -> Array:
        """`[T, N]` float32; 0 on rows that are no transition."""
        num_steps, num_envs = rollout.valid.shape
        streams = np.arange(num_envs)
        storage = TransitionStorage(num_steps * num_envs, num_envs, self._layout)
        storage.add(rollout._replace(streams=streams, extras={}))
        storage.cut(streams)
        row = (rollout.valid.cumsum(axis=0) - 1) * num_envs + streams  # [T, N]
        row = row[rollout.valid]
        parts = [
            self._policy.priorities(
                build_batch(
                    storage, self._n_step, part, np.ones(len(part), np.float32), self._device
                )
            )
            for part in (row[at : at + _ROWS_AT_ONCE] for at in range(0, len(row), _ROWS_AT_ONCE))
        ]
        priority: Array = np.zeros(rollout.valid.shape, np.float32)
        priority[rollout.valid] = np.concatenate(parts) if parts else 0.0
        return priority
