"""Running sums of the episodes in progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.data import EpisodeStats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rlplug.data import Array


class EpisodeTracker:
    """Sums raw rewards and environment steps per stream, and reports an episode when it is over.

    Sums are float64 and taken in the order of play, so that they do not depend on how a run was
    cut into rollouts.

    Args:
        streams: `[N]` int64 global indices of the environments.
    """

    def __init__(self, streams: Array) -> None:
        self._streams: list[int] = streams.tolist()
        self._returns = np.zeros(len(streams), np.float64)
        self._lengths = np.zeros(len(streams), np.int64)

    def update(
        self, reward: Array, valid: Array, ended: Iterable[int], env_steps: int
    ) -> list[EpisodeStats]:
        """Add one vector step.

        Args:
            reward: `[N]` raw reward; what stands on rows that are not valid is ignored.
            valid: `[N]` bool; False on rows that are no step.
            ended: Environments whose episode is over with this step.
            env_steps: Global count of environment steps after this vector step.

        Returns:
            The episodes that ended, in the order of `ended`.
        """
        np.add(self._returns, reward, out=self._returns, where=valid)
        self._lengths += valid
        return [self._finish(n, env_steps) for n in ended]

    def _finish(self, n: int, env_steps: int) -> EpisodeStats:
        episode = EpisodeStats(
            self._streams[n], float(self._returns[n]), int(self._lengths[n]), env_steps
        )
        self._returns[n] = 0.0
        self._lengths[n] = 0
        return episode

    def restart(self, which: Array) -> None:
        """Forget the episodes in progress where `which` `[N]` bool is true."""
        self._returns[which] = 0.0
        self._lengths[which] = 0

    def state_dict(self) -> dict[str, Any]:
        """The sums of the episodes in progress."""
        return {"returns": self._returns.copy(), "lengths": self._lengths.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self._returns[:] = state["returns"]
        self._lengths[:] = state["lengths"]
