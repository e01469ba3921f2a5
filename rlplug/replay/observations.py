"""One array of the observation tree: a row per transition, and one more per ended episode."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from rlplug.replay.columns import HostColumn, Place, grown

if TYPE_CHECKING:
    from rlplug.data import Array, Rollout
    from rlplug.replay.columns import Column
    from rlplug.replay.frames import FrameRing


class Slots(NamedTuple):
    """Where the `M` valid rows of a rollout and the observations around them are stored."""

    valid: Array | None
    """`[T, N]` bool; None when all rows are."""
    rows: Array
    """`[M]` in the order of the rollout, time first."""
    following: Array
    """`[N]` the slot of each stream's next row, where the observation to act on waits for it."""
    finals: Array
    """`[F]` in the pool of final observations."""

    def valid_rows(self, values: Array) -> Array:
        """`[M, ...]` of the `[T, N, ...]` values."""
        if self.valid is None:
            return values.reshape(-1, *values.shape[2:])
        chosen: Array = values[self.valid]
        return chosen


class ObservationColumn:
    """Observations by slot, and the final ones of ended episodes in a pool that grows.

    With a `FrameRing` the images are in there, and what is kept here are their frame numbers.
    """

    def __init__(
        self, num_slots: int, like: Array, place: Place, frames: FrameRing | None = None
    ) -> None:
        """Allocate for rows as in `like` `[M, ...]`: observations, or frame numbers."""
        self._place = place.beside() if frames is None else Place()
        self.rows: Column = (place if frames is None else self._place).column(num_slots, like)
        self.finals: Column = self._place.column(0, like)
        self.frames = frames

    def write(
        self, rollout: Rollout, slots: Slots, observation: Array, final: Array, following: Array
    ) -> None:
        """Store this array's `[T, N, ...]`, `[F, ...]` and `[N, ...]` of a rollout."""
        if self.frames is not None:
            observation, final, following = self.frames.store(
                rollout, observation, final, following
            )
        self.rows.write(slots.rows, slots.valid_rows(observation))
        self.rows.write(slots.following, following)
        if len(slots.finals):
            self.finals.write(slots.finals, final)

    def take(self, slot: Array, ended: Array, finals: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Where transitions began and led to, `[M, ...]` each, of the slots `[2, M]` of both.

        At the places `ended` of the second the final observations `finals` stand instead. The two
        may share memory: do not write to them.
        """
        if self.frames is not None:
            numbers = self.rows.head().take(slot, axis=0)
            if len(ended):
                numbers[1, ended] = self.finals.head()[finals]
            streams = slot[0] % self.frames.num_streams
            return self.frames.show_pair(streams, numbers[0], numbers[1])
        before, after = self.rows.take(slot).unbind()
        if len(ended):
            after[torch.from_numpy(ended)] = self.finals.take(finals)
        return before, after

    def end_at(self, slots: Array, finals: Array) -> None:
        """Make the observations that wait at `slots` the final ones `finals`."""
        self.finals.write(finals, self.rows.take(slots).cpu().numpy())

    def grow_finals(self, size: int) -> None:
        """Make room for `size` final observations."""
        self.finals = grown(self.finals, size, self._place)

    @property
    def nbytes(self) -> int:
        """Bytes of rows, final observations and frames."""
        frames = 0 if self.frames is None else self.frames.nbytes
        return self.rows.nbytes + self.finals.nbytes + frames

    def load(self, rows: Array, finals: Array) -> None:
        """Take over the first rows, and final observations numbered from 0."""
        self.rows.write(np.arange(len(rows)), rows)
        self.finals = grown(HostColumn(finals), len(finals), self._place)
