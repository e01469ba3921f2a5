"""Building one rollout row by row, in memory that the rollout then owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optree

from rlplug.data import EpisodeStats, Rollout

if TYPE_CHECKING:
    from rlplug.data import Array, Tree
    from rlplug.envs.adapter import AdapterStep


class RolloutBlock:
    """A `[T, N]` block under construction; every array is copied into it once.

    A row is written in two halves, because an environment may reuse its observation buffer:
    `write_decision` before the environment steps, `write_outcome` after.

    Args:
        rows: Vector steps to make room for; it grows when there are more.
        num_envs: `N`.
    """

    def __init__(self, rows: int, num_envs: int) -> None:
        shape = (rows, num_envs)
        self._filled = 0
        self._capacity = rows
        self._columns: list[Array] = []
        self._structure: optree.PyTreeSpec | None = None
        self._reward = np.empty(shape, np.float32)
        self._terminated = np.empty(shape, np.bool_)
        self._episode_over = np.empty(shape, np.bool_)
        self._valid = np.empty(shape, np.bool_)
        self._final_steps: list[tuple[int, int]] = []
        self._final_observations: list[Tree] = []
        self._no_final_observation: Tree = None
        self.episodes: list[EpisodeStats] = []

    def write_decision(self, observation: Tree, action: Tree, extras: dict[str, Tree]) -> None:
        """What was seen, `[N, *obs]`, and what the policy answered, `[N, ...]`."""
        row: Tree = (observation, action, extras)
        leaves: list[Array] = optree.tree_leaves(row)
        if self._structure is None:
            self._structure = optree.tree_structure(row)
            self._columns = [np.empty((self._capacity, *leaf.shape), leaf.dtype) for leaf in leaves]
        elif self._filled == self._capacity:
            self._grow()
        for column, leaf in zip(self._columns, leaves, strict=True):
            column[self._filled] = leaf

    def write_outcome(self, step: AdapterStep, ended: list[int]) -> None:
        """What came of it, and in which environments the episode is over; completes the row."""
        t = self._filled
        self._reward[t] = step.reward
        self._terminated[t] = step.terminated
        self._episode_over[t] = step.episode_over
        self._valid[t] = step.valid
        if ended:
            self._final_steps += [(t, n) for n in ended]
            self._final_observations.append(step.final_observation)
        else:
            self._no_final_observation = step.final_observation
        self._filled = t + 1

    def _grow(self) -> None:
        more = self._capacity // 2 + 1
        self._capacity += more

        def longer(column: Array) -> Array:
            return np.concatenate((column, np.empty((more, *column.shape[1:]), column.dtype)))

        self._columns = [longer(column) for column in self._columns]
        self._reward = longer(self._reward)
        self._terminated = longer(self._terminated)
        self._episode_over = longer(self._episode_over)
        self._valid = longer(self._valid)

    def rollout(
        self, next_observation: Tree, *, streams: Array, weights_version: int, env_steps: int
    ) -> Rollout:
        """The finished block."""
        assert self._structure is not None
        t = self._filled
        columns: Tree = [column[:t] for column in self._columns]
        rows: Tree = optree.tree_unflatten(self._structure, columns)
        observation, action, extras = rows
        return Rollout(
            observation=observation,
            action=action,
            reward=self._reward[:t],
            terminated=self._terminated[:t],
            episode_over=self._episode_over[:t],
            valid=self._valid[:t],
            extras=extras,
            next_observation=optree.tree_map(np.array, next_observation),
            final_steps=np.array(self._final_steps, np.int64).reshape(-1, 2),
            final_observation=self._final_observation(),
            streams=streams,
            weights_version=weights_version,
            env_steps=env_steps,
            episodes=tuple(self.episodes),
        )

    def _final_observation(self) -> Tree:
        """`[F, *obs]` of all rows; `[0, *obs]` when no episode ended."""
        finals = self._final_observations or [self._no_final_observation]
        if len(finals) == 1:
            return finals[0]
        return optree.tree_map(lambda *parts: np.concatenate(parts), *finals)
