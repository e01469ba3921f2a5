"""The actions that environments were given since each was last seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rlplug.data import Array


class History:
    """Rows of actions `[N]`, kept as far back as the longest history needs.

    Args:
        num_envs: `N`.
        lengths: `[N]` steps of each history so far; zeros by default.
        actions: `[T, N]` the last T steps, T being the longest of them.
    """

    def __init__(
        self, num_envs: int, lengths: Array | None = None, actions: Array | None = None
    ) -> None:
        self.lengths: Array = np.zeros(num_envs, np.int64)
        """`[N]` steps since each environment was seeded."""
        self._rows = np.zeros((1024, num_envs), np.uint8)
        self._count = 0
        if lengths is not None and actions is not None:
            self.lengths[:] = lengths
            self._rows = np.concatenate((actions, self._rows))
            self._count = len(actions)

    def append(self, actions: Array) -> None:
        """Add one step."""
        if self._count == len(self._rows):
            kept = self.actions()
            # at most half full again, so that rows move once in as many steps
            self._rows = np.zeros((max(1024, 2 * len(kept)), kept.shape[1]), np.uint8)
            self._rows[: len(kept)] = kept
            self._count = len(kept)
        self._rows[self._count] = actions
        self._count += 1
        self.lengths += 1

    def forget(self, envs: Array) -> None:
        """Begin anew in these environments."""
        self.lengths[envs] = 0

    def actions(self) -> Array:
        """`[T, N]` copied; environment n's own are the last `lengths[n]`."""
        return self._rows[self._count - int(self.lengths.max()) : self._count].copy()
