"""Where a run's results go: trackers, checkpoints and hooks, told of one event at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplug.registry.hookspecs import CheckpointSaved, EvaluationEnded, IterationEnded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.checkpoint import CheckpointInfo, CheckpointStore
    from rlplug.data import EpisodeStats
    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import State
    from rlplug.registry.hookspecs import Hooks
    from rlplug.tracking import Trackers


class Outputs:
    """The outward half of the supervisor: it decides when, this knows to whom."""

    def __init__(
        self,
        run_dir: Path,
        *,
        trackers: Trackers,
        checkpoints: CheckpointStore,
        hooks: Hooks,
        about: CheckpointInfo,
    ) -> None:
        self.run_dir = run_dir
        self._trackers = trackers
        self._checkpoints = checkpoints
        self._hooks = hooks
        self._about = about

    def iteration_ended(self, env_steps: int, updates: int) -> str | None:
        """A hook's reason to stop, if one has one."""
        return self._hooks.iteration_ended(IterationEnded(env_steps, updates))

    def episode(self, episode: EpisodeStats) -> None:
        """A training episode ended."""
        self._trackers.episode(episode)

    def report(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Training metrics are due."""
        self._trackers.write(env_steps, metrics)

    def evaluated(self, env_steps: int, updates: int, report: EvaluationReport) -> None:
        """The policy was evaluated."""
        self._trackers.evaluation(env_steps, report)
        self._hooks.evaluation_ended(EvaluationEnded(env_steps, updates, tuple(report.returns)))

    def save(
        self, state: Mapping[str, State], *, env_steps: int, updates: int, mean_return: float | None
    ) -> Path:
        """Write a checkpoint; `mean_return` is of these very weights, or None."""
        info = self._about.model_copy(
            update={"env_steps": env_steps, "updates": updates, "mean_return": mean_return}
        )
        path = self._checkpoints.save(state, info)
        self._hooks.checkpoint_saved(CheckpointSaved(env_steps, path))
        return path
