"""Where a run's results go: trackers, checkpoints and hooks, told of one event at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplug.registry.entries import plugin_options
from rlplug.registry.hookspecs import (
    CheckpointSaved,
    EvaluationEnded,
    IterationEnded,
    RunFinished,
    RunStarted,
)
from rlplug.tracking import summary
from rlplug.train.saving import Saving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.checkpoint import CheckpointInfo, CheckpointStore
    from rlplug.config import CheckpointConfig, RunConfig
    from rlplug.data import EpisodeStats
    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import State
    from rlplug.registry.hooks import Hooks
    from rlplug.registry.hookspecs import Outcome
    from rlplug.run_folder import RunFolder
    from rlplug.tracking import Trackers


class Outputs:
    """The outward half of the supervisor: it decides when, this knows to whom."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        trackers: Trackers,
        checkpoints: CheckpointStore,
        config: CheckpointConfig,
        hooks: Hooks,
        about: CheckpointInfo,
    ) -> None:
        self.run_dir = folder.path
        self.env_steps = about.env_steps
        """Environment steps that the last event told of."""
        self.evaluation: EvaluationReport | None = None
        """The newest."""
        self._folder = folder
        self.saving = Saving(checkpoints, config, saved=self._saved, warn=trackers.message)
        """The run's checkpoints."""
        self._trackers = trackers
        self._hooks = hooks
        self._about = about

    def restore_hooks(self, state: State) -> None:
        """Continue with the state that hooks left in a checkpoint."""
        self._hooks.load_state_dict(state)

    def started(self, config: RunConfig) -> None:
        """Everything is built; the first step comes next."""
        if self.env_steps:
            self._trackers.message(f"resumed at {self.env_steps:,} environment steps")
        self._hooks.run_started(RunStarted(self.run_dir, config, self.env_steps))

    def initialized(self, what: str, checkpoint: Path) -> None:
        """The weights of another run were taken."""
        self._trackers.message(f"weights from {checkpoint}: {what}")

    def chosen(self, values: Mapping[str, str | int]) -> None:
        """What `auto` came to, by dotted setting: a resume keeps it."""
        if values != self._folder.record.chosen:
            self._folder.update(chosen=dict(values))

    def iteration_ended(self, env_steps: int, updates: int) -> str | None:
        """A hook's reason to stop, if one has one.

        Raises:
            CheckpointError: one could not be written, and the config says to stop then.
        """
        self.env_steps = env_steps
        self.saving.poll()
        self._trackers.advance(env_steps)
        return self._hooks.iteration_ended(IterationEnded(env_steps, updates))

    def episode(self, episode: EpisodeStats) -> None:
        """A training episode ended."""
        self._trackers.episode(episode)

    def report(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Training metrics are due."""
        self._trackers.write(env_steps, metrics)

    def evaluated(self, env_steps: int, updates: int, report: EvaluationReport) -> bool:
        """The policy was evaluated; whether a hook wants these weights saved."""
        self.evaluation = report
        self._trackers.evaluation(env_steps, report)
        event = EvaluationEnded(env_steps, updates, tuple(report.returns))
        return self._hooks.evaluation_ended(event)

    def save(
        self, state: Mapping[str, State], *, env_steps: int, updates: int, mean_return: float | None
    ) -> None:
        """Begin to write a checkpoint; `mean_return` is of these very weights, or None."""
        self._trackers.catch_up()
        self.saving.save(
            {**state, "hooks": self._hooks.state_dict()},
            self._about.model_copy(
                update={"env_steps": env_steps, "updates": updates, "mean_return": mean_return}
            ),
        )

    def _saved(self, info: CheckpointInfo, path: Path) -> None:
        """A checkpoint is complete on disk."""
        newest = {"evaluation": self.evaluation.to_dict()} if self.evaluation else {}
        self._folder.update(env_steps=info.env_steps, **newest)
        self._hooks.checkpoint_saved(CheckpointSaved(info.env_steps, path))

    def completed(self, training_seconds: float, stopped_by: str | None) -> None:
        """The last checkpoint is written: complete the files and say what came of it."""
        self._trackers.close()
        self._trackers.console.summary(
            summary(
                self.run_dir,
                env_steps=self.env_steps,
                seconds=training_seconds,
                evaluation=self.evaluation,
                stopped_by=stopped_by,
                problems=[*self._trackers.problems, *self._unsaved()],
                options=plugin_options(),
            )
        )

    def _unsaved(self) -> list[str]:
        count = self.saving.num_failed
        return [f"Checkpoints on the way that could not be written: {count}."] if count else []

    def ended(self, outcome: Outcome, reason: str) -> None:
        """The run is over, whatever ended it."""
        if outcome in {"interrupted", "failed"}:
            self._trackers.console.note(reason)
        self._hooks.run_finished(RunFinished(self.env_steps, outcome, reason))
