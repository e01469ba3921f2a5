"""Finished episodes out of rollouts that cut them anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from rlplug.data import Rollout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlplug.data import Array, Tree
    from rlplug.protocols import State

_BY_STEP = ("observation", "action", "reward", "terminated", "episode_over", "valid", "extras")
"""Fields of a rollout that are `[T, N, ...]`."""


class WholeEpisodes:
    """Hands on the rows of finished episodes and keeps the others until their episode ends.

    Every transition is handed on once, whatever the length of its episode: none is dropped, which
    would favour short ones. What is not handed on now is not `valid` in what is.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Rollout] = {}
        """Rows of unfinished episodes, by the first stream of the collector's environments."""

    def take(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """Rollouts `[T', N]` of finished episodes; one for each set of environments, or none."""
        for rollout in rollouts:
            if rollout.is_restart:
                self.cut(rollout.streams)
            key = int(rollout.streams[0])
            earlier = self._waiting.get(key)
            self._waiting[key] = rollout if earlier is None else _joined(earlier, rollout)
        finished = []
        for key, rollout in self._waiting.items():
            done, self._waiting[key] = _split(rollout)
            if done.valid.any():
                finished.append(done)
        return finished

    def cut(self, streams: Array) -> None:
        """Drop the rows of these streams: their episode cannot be continued."""
        for key, rollout in self._waiting.items():
            goes_on = ~np.isin(rollout.streams, streams)
            self._waiting[key] = rollout._replace(valid=rollout.valid & goes_on)

    def state_dict(self) -> State:
        """The rows that wait."""
        return {
            "waiting": [
                rollout._replace(episodes=())._asdict() for rollout in self._waiting.values()
            ]
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        rollouts = [Rollout(**fields) for fields in state["waiting"]]
        self._waiting = {int(rollout.streams[0]): rollout for rollout in rollouts}


def have_all_ended(rollouts: Sequence[Rollout]) -> bool:
    """Whether every environment has ended an episode within these rollouts."""
    streams = {int(stream) for rollout in rollouts for stream in rollout.streams}
    ended = {int(each) for r in rollouts for each in r.streams[r.episode_over.any(axis=0)]}
    return ended == streams


def _joined(earlier: Rollout, later: Rollout) -> Rollout:
    """Two rollouts of the same environments, one right after the other."""
    shift = np.array([len(earlier.valid), 0])
    return _with_rows(
        later,
        _concatenated(_rows(earlier), _rows(later)),
        final_steps=np.concatenate((earlier.final_steps, later.final_steps + shift)),
        final_observation=_concatenated(earlier.final_observation, later.final_observation),
    )


def _split(rollout: Rollout) -> tuple[Rollout, Rollout]:
    """The rows of finished episodes, and the others, each without leading or trailing gaps."""
    num_steps = len(rollout.valid)
    step = np.arange(num_steps)[:, None]
    # first row after each environment's last end
    begin = np.max((step + 1) * rollout.episode_over, axis=0, initial=0)  # [N]
    first, last = int(begin.min()), int(begin.max())
    is_done = rollout._replace(valid=rollout.valid & (step < begin))
    is_not = rollout._replace(
        valid=rollout.valid & (step >= begin),
        terminated=rollout.terminated & (step >= begin),
        episode_over=rollout.episode_over & (step >= begin),
    )
    done = _with_rows(is_done, _part(_rows(is_done), slice(last)))
    waiting = _with_rows(
        is_not,
        _part(_rows(is_not), slice(first, None)),
        final_steps=rollout.final_steps[:0],
        final_observation=_part(rollout.final_observation, slice(0)),
    )
    return done, waiting


def _rows(rollout: Rollout) -> Tree:
    return {name: getattr(rollout, name) for name in _BY_STEP}


def _with_rows(rollout: Rollout, rows: Tree, **fields: Any) -> Rollout:
    return rollout._replace(**rows, **fields)


def _part(tree: Tree, which: slice) -> Tree:
    return optree.tree_map(lambda leaf: leaf[which], tree)


def _concatenated(*trees: Tree) -> Tree:
    return optree.tree_map(lambda *parts: np.concatenate(parts), *trees)
