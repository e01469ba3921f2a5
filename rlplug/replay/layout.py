"""Which columns the arrays of a rollout get: from the spaces, and from its first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import gymnasium
import numpy as np
import optree

from rlplug.errors import ConfigError
from rlplug.replay.columns import HostColumn, Place, grown
from rlplug.replay.frames import FrameRing, looks_like_stack, may_be_stack
from rlplug.replay.observations import ObservationColumn

if TYPE_CHECKING:
    from rlplug.data import Array, Rollout, Tree
    from rlplug.protocols import State
    from rlplug.replay.columns import Column


class Columns(NamedTuple):
    """Trees of columns, shaped like the observation, the action and the extras of a rollout."""

    observation: Tree
    action: Tree
    extras: Tree

    def observations(self) -> list[ObservationColumn]:
        """The observation's columns in order."""
        columns: list[ObservationColumn] = optree.tree_leaves(self.observation)
        return columns

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for tree in self for column in optree.tree_leaves(tree))

    def state_dict(self, num_slots: int, finals: Array) -> State:
        """The first `num_slots` rows and the final observations `finals` `[F]`, as trees."""
        observations = self.observations()
        return {
            "observation": optree.tree_map(
                lambda leaf: leaf.rows.saved(num_slots), self.observation
            ),
            "final": optree.tree_map(
                lambda leaf: leaf.finals.take(finals).cpu().numpy(), self.observation
            ),
            "frames": [leaf.frames and leaf.frames.state_dict() for leaf in observations],
            "action": optree.tree_map(lambda leaf: leaf.saved(num_slots), self.action),
            "extras": optree.tree_map(lambda leaf: leaf.saved(num_slots), self.extras),
        }

    def note_saved(self) -> None:
        """All rows are as they were saved: they were just loaded."""
        others: Tree = (self.action, self.extras)
        columns: list[Column] = optree.tree_leaves(others)
        for leaf in self.observations():
            columns += [leaf.rows, *([leaf.frames.frames] if leaf.frames else [])]
        for column in columns:
            if column.changes is not None:
                column.changes.clear()


class Layout:
    """Makes columns for `num_streams` rings of `capacity` transitions each."""

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        frame_stack: Literal["auto", "unique", "whole"] = "auto",
        place: Place | None = None,
    ) -> None:
        self._observation_spaces = _leaf_spaces(observation_space)
        self._action_spaces = _leaf_spaces(action_space)
        self._frame_stack = frame_stack
        self._place = place or Place()
        stacks = map(may_be_stack, optree.tree_leaves(self._observation_spaces))
        if frame_stack == "unique" and not any(stacks):
            raise ConfigError(
                "replay.frame_stack is 'unique', but the observation is no stack of images (uint8 "
                f"[stack, height, width]): it is {observation_space}. Use 'auto' or 'whole'."
            )

    def columns(self, rollout: Rollout, capacity: int, num_streams: int) -> Columns:
        """Columns for rollouts like this one."""
        num_slots = (capacity + 1) * num_streams
        extras: Tree = rollout.extras

        def observation_column(
            space: gymnasium.Space[Any], observation: Array, final: Array, following: Array
        ) -> ObservationColumn:
            if not self._is_unique(space, rollout, (observation, final, following)):
                return ObservationColumn(num_slots, following, self._place)
            depth = following.shape[1]
            frames = FrameRing(capacity, depth, num_streams, following[:, 0], self._place)
            return ObservationColumn(num_slots, frames.newest, self._place, frames)

        def action_column(space: gymnasium.Space[Any], action: Array) -> Column:
            like = action[0] if _is_box(space) else action[0].astype(np.int64)
            return self._place.column(num_slots, like)

        return Columns(
            optree.tree_map(
                observation_column,
                self._observation_spaces,
                rollout.observation,
                rollout.final_observation,
                rollout.next_observation,
            ),
            optree.tree_map(action_column, self._action_spaces, rollout.action),
            optree.tree_map(lambda leaf: self._place.column(num_slots, leaf[0]), extras),
        )

    def restored(self, state: State, capacity: int, num_streams: int) -> Columns:
        """Columns filled from `Columns.state_dict()`."""
        num_slots = (capacity + 1) * num_streams
        frame_states = iter(state["frames"])

        def observation_column(rows: Array, finals: Array) -> ObservationColumn:
            frame_state, frames = next(frame_states), None
            if frame_state is not None:
                like = frame_state["frames"]
                frames = FrameRing(capacity, rows.shape[1], num_streams, like, self._place)
                frames.load_state_dict(frame_state)
            column = ObservationColumn(num_slots, rows, self._place, frames)
            column.load(rows, finals)
            return column

        def plain_column(rows: Array) -> Column:
            return grown(HostColumn(rows), num_slots, self._place)

        return Columns(
            optree.tree_map(observation_column, state["observation"], state["final"]),
            optree.tree_map(plain_column, state["action"]),
            optree.tree_map(plain_column, state["extras"]),
        )

    def _is_unique(
        self, space: gymnasium.Space[Any], rollout: Rollout, images: tuple[Array, Array, Array]
    ) -> bool:
        if self._frame_stack == "whole" or not may_be_stack(space):
            return False
        return self._frame_stack == "unique" or looks_like_stack(rollout, *images)


def _leaf_spaces(space: gymnasium.Space[Any]) -> Tree:
    """The space as a tree of its parts, as its samples are trees of arrays."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {name: _leaf_spaces(part) for name, part in space.spaces.items()}
    if isinstance(space, gymnasium.spaces.Tuple):
        return tuple(_leaf_spaces(part) for part in space.spaces)
    return space


def _is_box(space: gymnasium.Space[Any]) -> bool:
    return isinstance(space, gymnasium.spaces.Box)
