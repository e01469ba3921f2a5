"""What happens between two iterations: reports, evaluations, checkpoints, and reasons to stop.

Each is due when the step counter crosses a multiple of its period, so that a resumed run keeps the
same schedule. Nothing here draws from training's generators.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import torch

from rlplug.data import EpisodeStats
from rlplug.errors import DivergedError, InterruptedRunError, RlplugError
from rlplug.registry.entries import plugin_options
from rlplug.train.beside import EvaluationBeside
from rlplug.train.evaluation import EvaluationBrokenOffError, InlineEvaluation
from rlplug.train.finite import not_a_number, not_finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from rlplug.config import RunConfig
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
    evaluation: int
    checkpoint: int

    @classmethod
    def of(cls, config: RunConfig, total_env_steps: int) -> Periods:
        """The configured periods; by default a hundredth and a tenth of the run."""
        tenth = math.ceil(total_env_steps / 10)
        return cls(
            config.tracking.report_every_env_steps or math.ceil(total_env_steps / 100),
            config.evaluate.every_env_steps or tenth,
            config.checkpoint.every_env_steps or tenth,
        )


class Supervisor:
    """Watches one run from outside its loop."""

    def __init__(
        self, run: RunContext, outputs: Outputs, signals: StopSignals, *, total_env_steps: int
    ) -> None:
        self.stop_reason: str | None = None
        """Why the trainer should return before its last step."""
        self.training_seconds = 0.0
        """Collecting and updating; reports, evaluations and checkpoints are not counted."""
        self._run = run
        self._outputs = outputs
        self._signals = signals
        self._total_env_steps = total_env_steps
        self._periods = Periods.of(run.config, total_env_steps)
        self._pending: dict[str, list[Tensor]] = {}
        self._recent: deque[EpisodeStats] = deque(maxlen=RECENT_EPISODES)
        self._env_steps = 0
        self._last_report = (0, 0.0)  # environment steps, training seconds
        self._is_evaluation_left = False
        self._left_at = time.perf_counter()

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest that is complete on disk."""
        return self._outputs.saving.last

    def record(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep one update's metrics until the next report; nothing is read from the device."""
        for name, value in metrics.items():
            self._pending.setdefault(name, []).append(value)

    def record_episodes(self, episodes: Iterable[EpisodeStats]) -> None:
        """Note finished training episodes."""
        for episode in episodes:
            self._recent.append(episode)
            self._outputs.episode(episode)

    def start(self, trainer: Trainer) -> None:
        """Save the untrained agent, so that there is always a checkpoint to go back to."""
        self.save(trainer)
        self._outputs.saving.wait(must_succeed=True)
        self._left_at = time.perf_counter()

    def iteration_ended(self, trainer: Trainer) -> None:
        """Do what is due after an iteration.

        Raises:
            DivergedError: a loss or a weight is not finite.
            EnvironmentFaultError: in an evaluation; the run is saved.
            InterruptedRunError: a signal arrived; the run is saved.
        """
        self.training_seconds += time.perf_counter() - self._left_at
        before, self._env_steps = self._env_steps, self._run.collector.env_steps
        is_last = self._env_steps >= self._total_env_steps

        def is_due(period: int) -> bool:
            return self._env_steps // period > before // period

        self.stop_reason = self._outputs.iteration_ended(self._env_steps, trainer.num_updates)
        self._take_evaluations(trainer)
        if is_last or self.stop_reason or is_due(self._periods.report):
            self._report(trainer)
        if not is_last and not self.stop_reason:
            self._between(
                trainer,
                evaluate=is_due(self._periods.evaluation),
                save=is_due(self._periods.checkpoint),
            )
        self._left_at = time.perf_counter()

    def resume(self, trainer: Trainer) -> None:
        """Play the evaluation that a signal broke off, before the next iteration."""
        if self._is_evaluation_left:
            self._is_evaluation_left = False
            self._between(trainer, evaluate=True, save=True)
        self._left_at = time.perf_counter()

    def _between(self, trainer: Trainer, *, evaluate: bool, save: bool) -> None:
        mean_return, is_wanted = None, False
        if evaluate:
            try:
                mean_return, is_wanted = self._evaluate_on_the_way(trainer)
            except EvaluationBrokenOffError:  # schedulers do not wait for the end of many episodes
                self._is_evaluation_left = True
        if self._signals.received is not None:
            self._stop_for_signal(trainer, mean_return)
        if is_wanted or save:
            self.save(trainer, mean_return)

    def finish(self, trainer: Trainer) -> EvaluationReport:
        """Evaluate the policy at the end, and save it.

        Raises:
            InterruptedRunError: a signal arrived; the run is saved, and a resume evaluates. A run
                that a hook has stopped is evaluated first: a resume of it would go on training.
        """
        self._require_finite()
        self._take_evaluations(trainer, wait=True)
        episodes = self._run.config.evaluate.final_episodes
        try:
            with self._broken_off_by_signals() if self.stop_reason is None else nullcontext():
                report, _ = self._evaluate(trainer, episodes)
        except EvaluationBrokenOffError:
            self._stop_for_signal(trainer, None)
        self.save(trainer, report.mean_return)
        self._outputs.saving.wait(must_succeed=True)
        return report

    def save(self, trainer: Trainer, mean_return: float | None = None) -> None:
        """Begin to write a checkpoint of everything that a resumed run needs.

        It is copied here and written beside the training; an error comes with the next call of the
        outputs.

        Raises:
            DivergedError: something in it is not finite; nothing is written.
            CheckpointError: the one before it could not be written, and the config says to stop.
        """
        self._require_finite()
        run = self._run
        state: dict[str, Any] = {
            "policy_weights": run.agent.policy_weights(),
            "agent": run.agent.state_dict(),
            "collector": run.collector.state_dict(),
            "trainer": trainer.state_dict(),
            "supervisor": self.state_dict(),
        }
        if run.replay is not None and run.config.checkpoint.save_replay:
            state["replay"] = run.replay.state_dict()
        self._outputs.save(
            state, env_steps=self._env_steps, updates=trainer.num_updates, mean_return=mean_return
        )

    def _report(self, trainer: Trainer) -> None:
        """Read the pending metrics from the device and write one row."""
        row = {name: float(values.mean()) for name, values in _stacked(self._pending).items()}
        self._pending.clear()
        row |= self._run.agent.metrics() if trainer.num_updates else {}
        row |= self._run.policy.metrics() if self._run.policy else {}
        row |= self._run.collector.metrics()
        for name, value in row.items():
            if not math.isfinite(value):
                self._diverged(f"metric '{name}'")
        if self._recent:
            row["episode_return"] = float(np.mean([e.episode_return for e in self._recent]))
            row["episode_length"] = float(np.mean([e.episode_length for e in self._recent]))
            row["episodes"] = len(self._recent)
        steps, seconds = self._last_report
        self._last_report = (self._env_steps, self.training_seconds)
        row["steps_per_second"] = (self._env_steps - steps) / (self.training_seconds - seconds)
        row["training_seconds"] = self.training_seconds
        row["updates"] = trainer.num_updates
        row["updates_per_env_step"] = trainer.num_updates / self._env_steps
        self._outputs.report(self._env_steps, row)

    def _evaluate(self, trainer: Trainer, episodes: int) -> tuple[EvaluationReport, bool]:
        """The report, and whether a hook wants a checkpoint of these weights."""
        try:
            report = self._run.evaluate(episodes, self._env_steps)
        except RlplugError:
            self.save(trainer)  # the training up to here is sound
            self._outputs.saving.end()
            raise
        return report, self._outputs.evaluated(self._env_steps, trainer.num_updates, report)

    def _evaluate_on_the_way(self, trainer: Trainer) -> tuple[float | None, bool]:
        """The mean return, where it is known at once; whether a checkpoint is wanted for it."""
        config, evaluation = self._run.config, self._run.evaluate
        if isinstance(evaluation, EvaluationBeside):
            evaluation.begin(config.evaluate.episodes, self._env_steps, trainer.num_updates)
            return None, config.checkpoint.keep_best  # it may come out as the best
        with self._broken_off_by_signals():
            report, is_wanted = self._evaluate(trainer, config.evaluate.episodes)
        return report.mean_return, is_wanted

    @contextmanager
    def _broken_off_by_signals(self) -> Iterator[None]:
        """Inside, an evaluation in this process ends where a signal arrives."""
        evaluation = self._run.evaluate
        if not isinstance(evaluation, InlineEvaluation):
            yield
            return
        evaluation.is_interrupted = lambda: self._signals.received is not None
        try:
            yield
        finally:
            evaluation.is_interrupted = lambda: False

    def _take_evaluations(self, trainer: Trainer, *, wait: bool = False) -> None:
        """Report the evaluations beside training that have ended."""
        if not isinstance(self._run.evaluate, EvaluationBeside):
            return
        try:
            finished = self._run.evaluate.finished(wait=wait)
        except RlplugError:
            self.save(trainer)  # the training up to here is sound
            self._outputs.saving.end()
            raise
        for env_steps, updates, report in finished:
            self._outputs.evaluated(env_steps, updates, report)
            self._outputs.saving.rate(env_steps, report.mean_return)

    def _stop_for_signal(self, trainer: Trainer, mean_return: float | None) -> NoReturn:
        self.save(trainer, mean_return)
        self._outputs.saving.wait(must_succeed=True)
        stopped = f"Stopped by {self._signals.name} after {self._env_steps:,} environment steps"
        if self._run.config.checkpoint.enabled:
            again = f"rlplug train --resume {self._outputs.run_dir}{plugin_options()}"
            msg = f"{stopped}; saved as {self.last_checkpoint} (resume: {again})"
        else:
            msg = f"{stopped}; nothing is saved: checkpoint.enabled is false"
        raise InterruptedRunError(msg, exit_code=self._signals.exit_code)

    def _require_finite(self) -> None:
        """Look at all that a checkpoint would keep of learning.

        Raises:
            DivergedError: naming what is not finite.
        """
        agent = self._run.agent
        if weight := not_finite(agent.policy_weights()):
            self._diverged(f"weight '{weight}'")
        if part := not_a_number(agent.state_dict()):
            self._diverged(f"'{part}' of the agent")
        if metric := not_finite(_stacked(self._pending)):
            self._diverged(f"metric '{metric}'")

    def _diverged(self, what: str) -> None:
        self._outputs.saving.end()
        msg = (
            f"Training diverged: {what} is not finite after {self._env_steps:,} environment steps. "
            f"Last good checkpoint: {self.last_checkpoint}. Try a smaller learning rate, or "
            "gradient clipping (--agent.optimizer.max_gradient_norm 10)."
        )
        raise DivergedError(msg)

    def state_dict(self) -> State:
        """Pending metrics, recent episodes and the training time."""
        return {
            "pending": _stacked(self._pending),
            "recent": [list(episode) for episode in self._recent],
            "env_steps": self._env_steps,
            "training_seconds": self.training_seconds,
            "last_report": list(self._last_report),
            "is_evaluation_left": self._is_evaluation_left,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`: the same rows follow as without the break."""
        self._pending = {name: list(values) for name, values in state["pending"].items()}
        self._recent.extend(EpisodeStats(*episode) for episode in state["recent"])
        self._env_steps = state["env_steps"]
        self.training_seconds = state["training_seconds"]
        env_steps, seconds = state["last_report"]
        self._last_report = (env_steps, seconds)
        self._is_evaluation_left = state.get("is_evaluation_left", False)
        self._left_at = time.perf_counter()


def _stacked(pending: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    """`[U]` of each metric's U values, on the device of the newest: a resume loads to the CPU."""
    return {
        name: torch.stack([value.to(values[-1].device) for value in values])
        for name, values in pending.items()
    }
