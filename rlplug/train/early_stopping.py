"""The hook behind the run's `stop` section: a target, a plateau, a time limit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rlplug.config import StopConfig
from rlplug.registry.hookspecs import EvaluationEnded, IterationEnded, RunStarted, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.protocols import State


class EarlyStopping:
    """Asks for the end of a run once it has reached its target, its plateau or its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stop = StopConfig()
        self.reason: str | None = None
        self.best_return = -math.inf
        self.evaluations_since_best = 0
        self.seconds_before = 0.0
        """Of this run, in processes before this one."""
        self._clock = clock
        self._started = clock()

    @property
    def seconds(self) -> float:
        """Of this run so far."""
        return self.seconds_before + self._clock() - self._started

    @hookimpl
    def rlplug_run_started(self, event: RunStarted) -> None:
        """Take the run's settings, and the time."""
        self.stop = event.config.stop
        self._started = self._clock()

    @hookimpl
    def rlplug_evaluation_ended(self, event: EvaluationEnded) -> None:
        """Compare with the target and with the best so far."""
        mean, stop = event.mean_return, self.stop
        if mean > self.best_return + stop.min_improvement:
            self.best_return, self.evaluations_since_best = mean, 0
        else:
            self.evaluations_since_best += 1
        if stop.target_return is not None and mean >= stop.target_return:
            self.reason = f"return {mean:,.1f} reached the target of {stop.target_return:,.1f}"
        elif self.evaluations_since_best >= (stop.patience_evaluations or math.inf):
            self.reason = (
                f"{self.evaluations_since_best} evaluations in a row were no better than "
                f"{self.best_return:,.1f}"
            )

    @hookimpl
    def rlplug_iteration_ended(self, event: IterationEnded) -> str | None:  # noqa: ARG002  pluggy's
        """The reason to stop, if there is one."""
        limit = self.stop.max_seconds
        if limit is not None and self.seconds >= limit:
            return f"the time limit of {limit:,g} seconds"
        return self.reason

    def state_dict(self) -> State:
        """The best evaluation, how many came after it, and the time."""
        return {
            "best_return": self.best_return,
            "evaluations_since_best": self.evaluations_since_best,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`; what stopped the run then is asked again."""
        self.best_return = state["best_return"]
        self.evaluations_since_best = state["evaluations_since_best"]
        self.seconds_before = state["seconds"]
