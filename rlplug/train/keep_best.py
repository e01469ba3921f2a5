"""The hook behind `checkpoint.keep_best`: the weights of the best evaluation are saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rlplug.registry.hookspecs import EvaluationEnded, RunStarted, hookimpl

if TYPE_CHECKING:
    from rlplug.protocols import State


class KeepBest:
    """Asks for a checkpoint after each evaluation that is the best so far.

    Which checkpoints then stay on disk is the checkpoint store's part.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        self.best_return = -math.inf

    @hookimpl
    def rlplug_run_started(self, event: RunStarted) -> None:
        """Read the run's settings."""
        self.is_wanted = event.config.checkpoint.keep_best

    @hookimpl
    def rlplug_evaluation_ended(self, event: EvaluationEnded) -> bool:
        """Whether these weights are to be saved."""
        is_best = event.mean_return > self.best_return
        self.best_return = max(self.best_return, event.mean_return)
        return is_best and self.is_wanted

    def state_dict(self) -> State:
        """The best evaluation."""
        return {"best_return": self.best_return}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.best_return = state["best_return"]
