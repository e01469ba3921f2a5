"""What happens between two iterations: reports, evaluations, checkpoints, and reasons to stop.

Each is due when the step counter crosses a multiple of its period, so that a resumed run keeps the
same schedule. Nothing here draws from training's generators.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from rlplug.data import EpisodeStats
from rlplug.errors import DivergedError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import State, Trainer
    from rlplug.train.context import RunContext
    from rlplug.train.outputs import Outputs
    from rlplug.train.signals import StopSignals

RECENT_EPISODES = 100
"""Episodes over which a report averages the training return."""


class Periods(NamedTuple):
    """Environment steps between two events of each kind."""

    report: int
    evaluate: int
    checkpoint: int


class Supervisor:
    """Watches one run from outside its loop."""

    def __init__(
        self,
        run: RunContext,
        outputs: Outputs,
        signals: StopSignals,
        *,
        total_env_steps: int,
    ) -> None:
        config = run.config
        self.run = run
        self.outputs = outputs
        self.signals = signals
        self.total_env_steps = total_env_steps
        self.periods = Periods(
            config.tracking.report_every_env_steps or math.ceil(total_env_steps / 100),
            config.evaluate.every_env_steps or math.ceil(total_env_steps / 10),
            config.checkpoint.every_env_steps or math.ceil(total_env_steps / 10),
        )
        self.stop_reason: str | None = None
        self.evaluation: EvaluationReport | None = None
        self.last_checkpoint: Path | None = None
        self._pending: dict[str, list[Tensor]] = {}
        self._recent: deque[EpisodeStats] = deque(maxlen=RECENT_EPISODES)
        self._env_steps = 0
        self._seconds = 0.0
        self._resumed_at = time.perf_counter()
        self._reported = (0, 0.0)

    def record(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep one update's metrics until the next report; nothing is read from the device."""
        for name, value in metrics.items():
            self._pending.setdefault(name, []).append(value)

    def record_episodes(self, episodes: Iterable[EpisodeStats]) -> None:
        """Note finished training episodes."""
        for episode in episodes:
            self._recent.append(episode)
            self.outputs.trackers.episode(episode)

    def iteration_ended(self, trainer: Trainer) -> None:
        """Do what is due after an iteration.

        Raises:
            DivergedError: a loss or a weight is not finite.
            InterruptedRunError: a signal arrived; the run is saved.
        """
        self._seconds += time.perf_counter() - self._resumed_at
        before, now = self._env_steps, self.run.collector.env_steps
        self._env_steps = now
        is_last = now >= self.total_env_steps

        def is_due(period: int) -> bool:
            return is_last or now // period > before // period

        self.stop_reason = self.outputs.hooks.iteration_ended(now, trainer.num_updates)
        if is_due(self.periods.report) or self.stop_reason:
            self._report(trainer)
        if not is_last and is_due(self.periods.evaluate):
            self._evaluate(trainer, self.run.config.evaluate.episodes)
        if self.signals.received is not None:
            self._stop_for_signal(trainer)
        if not is_last and is_due(self.periods.checkpoint):
            self.save(trainer)
        self._resumed_at = time.perf_counter()

    def finish(self, trainer: Trainer) -> EvaluationReport:
        """Evaluate the policy at the end, and save it."""
        report = self._evaluate(trainer, self.run.config.evaluate.final_episodes)
        self.save(trainer)
        return report

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint of everything that a resumed run needs.

        Raises:
            DivergedError: a weight is not finite; nothing is written.
        """
        run = self.run
        weights = run.agent.policy_weights()
        for name, tensor in weights.items():
            if not bool(torch.isfinite(tensor).all()):
                self._diverged(f"weight '{name}'")
        state: dict[str, Any] = {
            "policy_weights": weights,
            "agent": run.agent.state_dict(),
            "collector": run.collector.state_dict(),
            "trainer": trainer.state_dict(),
            "supervisor": self.state_dict(),
        }
        if run.replay is not None and run.config.checkpoint.save_replay:
            state["replay"] = run.replay.state_dict()
        self.last_checkpoint = self.outputs.save_checkpoint(
            state, env_steps=self._env_steps, evaluation=self.evaluation
        )

    def _report(self, trainer: Trainer) -> None:
        """Read the pending metrics and write one row."""
        metrics = {name: torch.stack(values).mean() for name, values in self._pending.items()}
        self._pending.clear()
        row = {name: float(value) for name, value in metrics.items()}
        row |= self.run.agent.metrics() | self.run.policy.metrics() | self.run.collector.metrics()
        for name, value in row.items():
            if not math.isfinite(value):
                self._diverged(f"metric '{name}'")
        if self._recent:
            row["episode_return"] = float(np.mean([e.episode_return for e in self._recent]))
            row["episode_length"] = float(np.mean([e.episode_length for e in self._recent]))
            row["episodes"] = len(self._recent)
        steps, seconds = self._reported
        self._reported = (self._env_steps, self._seconds)
        row["training_seconds"] = self._seconds
        row["updates"] = trainer.num_updates
        row["updates_per_env_step"] = trainer.num_updates / self._env_steps
        row["steps_per_second"] = (self._env_steps - steps) / max(self._seconds - seconds, 1e-9)
        self.outputs.trackers.write(self._env_steps, row)

    def _evaluate(self, trainer: Trainer, episodes: int) -> EvaluationReport:
        report = self.run.evaluate(episodes, self._env_steps)
        self.evaluation = report
        self.outputs.evaluated(self._env_steps, trainer.num_updates, report)
        return report

    def _stop_for_signal(self, trainer: Trainer) -> None:
        self.save(trainer)
        msg = (
            f"Stopped by a signal after {self._env_steps:,} environment steps; saved as "
            f"{self.last_checkpoint} (resume: rlplug train --resume {self.outputs.run_dir})"
        )
        raise InterruptedRunError(msg, exit_code=self.signals.exit_code)

    def _diverged(self, what: str) -> None:
        kept = (
            f"Last good checkpoint: {self.last_checkpoint}."
            if self.last_checkpoint
            else "No checkpoint was written before."
        )
        msg = (
            f"Training diverged: {what} is not finite after {self._env_steps:,} environment steps. "
            f"{kept} Try a smaller learning rate, or gradient clipping "
            "(--agent.optimizer.max_gradient_norm 10)."
        )
        raise DivergedError(msg)

    def state_dict(self) -> State:
        """Pending metrics, recent episodes, the last evaluation and the training time."""
        return {
            "pending": {name: torch.stack(values) for name, values in self._pending.items()},
            "recent": [list(episode) for episode in self._recent],
            "env_steps": self._env_steps,
            "seconds": self._seconds,
            "reported": list(self._reported),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`: the same rows are reported as without the break."""
        self._pending = {name: list(values) for name, values in state["pending"].items()}
        self._recent.extend(EpisodeStats(*episode) for episode in state["recent"])
        self._env_steps = state["env_steps"]
        self._seconds = state["seconds"]
        self._reported = tuple(state["reported"])
        self._resumed_at = time.perf_counter()
