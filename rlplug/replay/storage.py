"""One-step facts of every stream in rings, and where the observation after each row is.

A row is known by one number for all time: `index · num_streams + stream`, where index counts the
rows of its stream from 0. It lies in slot `row % num_slots`, and the next row of its stream is
`row + num_streams`. Each ring has one slot more than it keeps transitions: the observation that
follows the newest transition waits there, so that a next observation always is the next slot's,
except where the episode is over. No γ, no n and no clipping in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import optree

from rlplug.errors import ConfigError
from rlplug.replay.observations import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from rlplug.data import Array, Rollout, Tree
    from rlplug.protocols import State
    from rlplug.replay.layout import Columns, Layout

_GOES_ON = -1


class TransitionStorage:
    """Observation, action, raw reward, `terminated`, `episode_over` and extras of each row.

    Every stream has a ring of its own for `capacity // num_streams` transitions; a remainder is
    not used. Streams may fill at different paces, and a rollout may carry only some of them.
    """

    def __init__(self, capacity: int, num_streams: int, layout: Layout) -> None:
        """Allocate the scalar facts; the rest waits for the first rollout and its dtypes."""
        if capacity < num_streams:
            raise ConfigError(
                f"replay.capacity is {capacity}, less than one transition for each of the "
                f"{num_streams} environments. Raise it, or run fewer environments."
            )
        self.num_streams = num_streams
        self.capacity = capacity // num_streams
        """Transitions kept of each stream."""
        self.num_slots = (self.capacity + 1) * num_streams
        self.reward: Array = np.zeros(self.num_slots, dtype=np.float32)
        self.terminated: Array = np.zeros(self.num_slots, dtype=np.bool_)
        self.final: Array = np.full(self.num_slots, _GOES_ON, dtype=np.int32)
        """Where the row's final observation is; negative where the episode goes on."""
        self.written: Array = np.zeros(num_streams, dtype=np.int64)
        """`[S]` rows written to each stream so far."""
        self.oldest: Array = np.zeros(num_streams, dtype=np.int64)
        """`[S]` index of the oldest row that is still whole."""
        self.episode_start: Array = np.zeros(num_streams, dtype=np.int64)
        """`[S]` index of the first row of the episode that goes on."""
        self._layout = layout
        self._columns: Columns | None = None
        self._free_finals: list[int] = []
        self._num_finals = 0

    def add(self, rollout: Rollout) -> None:
        """Store the valid rows of a rollout."""
        if self._columns is None:
            self._columns = self._layout.columns(rollout, self.capacity, self.num_streams)
        for piece in _pieces(rollout, self.capacity):
            self._add(piece, self._columns)
        self.oldest = np.maximum(self.oldest, self.written - self.capacity)
        self._forget_lost_frames()

    def cut(self, streams: Array) -> None:
        """End the stored episodes of these streams here, as when an environment was restarted.

        The observation that waits for the next row becomes the final one.
        """
        running = streams[self.written[streams] > self.episode_start[streams]]
        if self._columns is None or not len(running):
            return
        self.episode_start[running] = self.written[running]
        waiting = self.written[running] * self.num_streams + running
        finals = self._reserve_finals(len(running))
        self.final[(waiting - self.num_streams) % self.num_slots] = finals
        for column in self._columns.observations():
            column.end_at(waiting % self.num_slots, finals)

    def episode_over(self, slot: Array) -> Array:
        """`[...]` whether the stored sequence breaks after the rows in these slots."""
        over: Array = self.final[slot] != _GOES_ON
        return over

    def read(self, slot: Array, last_slot: Array) -> tuple[Tree, Tree, Tree]:
        """What transitions `[M]` are made of: observation, action, next observation, `[M, ...]`.

        They begin at the rows in `slot` and end after those in `last_slot`, with the final
        observation where the episode was over. Both observations are parts of one block, read in
        one go.
        """
        final = self.final.take(last_slot)
        ended = (final != _GOES_ON).nonzero()[0]
        both = np.concatenate((slot, (last_slot + self.num_streams) % self.num_slots))
        before, after = _map_to_pairs(
            lambda leaf: leaf.take(both.reshape(2, -1), ended, final[ended]),
            self._filled.observation,
        )
        return before, _map(lambda leaf: leaf.take(slot), self._filled.action), after

    def added_by_policy(self, name: str, row: Array) -> Tree | None:
        """`[M, ...]` what the policy added under this name; None where it adds none."""
        slot = row % self.num_slots
        extra = self._filled.extras.get(name)
        return extra if extra is None else optree.tree_map(lambda leaf: leaf.take(slot), extra)

    @property
    def num_written_slots(self) -> int:
        """Slots from the first to the last that holds anything."""
        return (min(int(self.written.max()), self.capacity) + 1) * self.num_streams

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        facts = self.reward.nbytes + self.terminated.nbytes + self.final.nbytes
        return facts + (0 if self._columns is None else self._columns.nbytes)

    def state_dict(self) -> State:
        """All rows written so far; the arrays are views where they are in memory."""
        num_slots = self.num_written_slots
        final = self.final[:num_slots]
        ended = final != _GOES_ON
        used = np.unique(final[ended])
        columns = self._columns
        return {
            "capacity": self.capacity,
            "num_streams": self.num_streams,
            "written": self.written.copy(),
            "oldest": self.oldest.copy(),
            "episode_start": self.episode_start.copy(),
            "reward": self.reward[:num_slots],
            "terminated": self.terminated[:num_slots],
            "final": np.where(ended, used.searchsorted(final), _GOES_ON).astype(np.int32),
            "columns": None if columns is None else columns.state_dict(num_slots, used),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()` of a storage of the same size.

        Raises:
            ConfigError: where capacity or streams are not those it was saved with.
        """
        saved = (state["capacity"], state["num_streams"])
        if saved != (self.capacity, self.num_streams):
            raise ConfigError(
                f"This replay keeps {self.capacity} transitions of each of {self.num_streams} "
                f"environments, the saved one {saved[0]} of each of {saved[1]}. Resume with the "
                "replay.capacity and the number of environments of the saved run."
            )
        num_slots = len(state["reward"])
        self.written = state["written"].copy()
        self.oldest = state["oldest"].copy()
        self.episode_start = state["episode_start"].copy()
        self.reward[:num_slots] = state["reward"]
        self.terminated[:num_slots] = state["terminated"]
        self.final[:] = _GOES_ON
        self.final[:num_slots] = state["final"]
        self._num_finals = int(self.final.max()) + 1
        self._free_finals = []
        self._columns = None
        if state["columns"] is not None:
            self._columns = self._layout.restored(state["columns"], self.capacity, self.num_streams)
            self._columns.note_saved()

    @property
    def _filled(self) -> Columns:
        if self._columns is None:
            raise ValueError("The replay is empty: add a rollout before reading from it.")
        return self._columns

    def _add(self, rollout: Rollout, columns: Columns) -> None:
        streams, valid = rollout.streams, rollout.valid
        index = self.written[streams] + valid.cumsum(axis=0) - 1  # [T, N]
        row = index * self.num_streams + streams
        self.written[streams] += valid.sum(axis=0)
        following = self.written[streams] * self.num_streams + streams

        slots = self._slots(rollout, row, following)
        self.reward[slots.rows] = slots.valid_rows(rollout.reward)
        self.terminated[slots.rows] = slots.valid_rows(rollout.terminated)
        times, envs = rollout.final_steps.T
        self.final[row[times, envs] % self.num_slots] = slots.finals
        np.maximum.at(self.episode_start, streams[envs], index[times, envs] + 1)

        optree.tree_map_(
            lambda column, *arrays: column.write(rollout, slots, *arrays),
            columns.observation,
            rollout.observation,
            rollout.final_observation,
            rollout.next_observation,
        )
        others: Tree = (columns.action, columns.extras)
        values: Tree = (rollout.action, rollout.extras)
        optree.tree_map_(
            lambda column, array: column.write(slots.rows, slots.valid_rows(array)), others, values
        )

    def _slots(self, rollout: Rollout, row: Array, following: Array) -> Slots:
        """Where to store the rows `[T, N]`; frees what is overwritten."""
        valid = None if rollout.valid.all() else rollout.valid
        rows = (row.reshape(-1) if valid is None else row[valid]) % self.num_slots
        waiting = following % self.num_slots
        for slots in (rows, waiting):
            freed = self.final[slots]
            self._free_finals += freed[freed != _GOES_ON].tolist()
            self.final[slots] = _GOES_ON
        return Slots(valid, rows, waiting, self._reserve_finals(len(rollout.final_steps)))

    def _reserve_finals(self, count: int) -> Array:
        """`[count]` free places for final observations."""
        missing = count - len(self._free_finals)
        if missing > 0:
            size = max(self._num_finals + missing, self._num_finals * 5 // 4, 8)
            self._free_finals += range(self._num_finals, size)
            self._num_finals = size
            for column in self._filled.observations():
                column.grow_finals(size)
        reserved = self._free_finals[len(self._free_finals) - count :]
        del self._free_finals[len(self._free_finals) - count :]
        return np.array(reserved, dtype=np.int64)

    def _forget_lost_frames(self) -> None:
        """Move `oldest` past rows whose frames were overwritten."""
        for column in self._filled.observations():
            while column.frames is not None:
                slot = (
                    self.oldest * self.num_streams + np.arange(self.num_streams)
                ) % self.num_slots
                lost = (self.oldest < self.written) & ~column.frames.is_kept(
                    column.rows.head()[slot]
                )
                if not lost.any():
                    break
                self.oldest[lost] += 1


def _pieces(rollout: Rollout, rows: int) -> Iterator[Rollout]:
    """The rollout in parts of at most `rows` time steps, so that no slot is written twice."""
    num_steps = len(rollout.valid)
    if num_steps <= rows:
        yield rollout
        return
    for start in range(0, num_steps, rows):
        stop = min(start + rows, num_steps)
        ended = (rollout.final_steps[:, 0] >= start) & (rollout.final_steps[:, 0] < stop)
        yield rollout._replace(
            observation=_at(slice(start, stop), rollout.observation),
            action=_at(slice(start, stop), rollout.action),
            reward=rollout.reward[start:stop],
            terminated=rollout.terminated[start:stop],
            episode_over=rollout.episode_over[start:stop],
            valid=rollout.valid[start:stop],
            extras=_at(slice(start, stop), rollout.extras),
            next_observation=(
                _at(stop, rollout.observation) if stop < num_steps else rollout.next_observation
            ),
            final_steps=rollout.final_steps[ended] - [start, 0],
            final_observation=_at(ended, rollout.final_observation),
        )


def _map(function: Callable[[Any], torch.Tensor], tree: Tree) -> Tree:
    """`tree_map`, without its cost where the tree is a single leaf."""
    is_leaf = not isinstance(tree, dict | tuple)
    return function(tree) if is_leaf else optree.tree_map(function, tree)


def _map_to_pairs(
    function: Callable[[Any], tuple[torch.Tensor, torch.Tensor]], tree: Tree
) -> tuple[Tree, Tree]:
    """Two trees of what `function` makes of each leaf."""
    if not isinstance(tree, dict | tuple):
        return function(tree)
    leaves: list[Any]
    leaves, structure = optree.tree_flatten(cast("Any", tree))
    firsts, seconds = zip(*map(function, leaves), strict=True)
    return optree.tree_unflatten(structure, firsts), optree.tree_unflatten(structure, seconds)


def _at(index: Any, tree: Tree) -> Tree:
    return optree.tree_map(lambda leaf: leaf[index], tree)
