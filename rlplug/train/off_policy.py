"""The off-policy loop: collect into the replay, then make the updates that are due.

collector.collect ─► replay.add ─► replay.minibatches ─► agent.update ─► priorities back
▲                                                     │
└───────────────── weights ───────────────────────────┘
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from rlplug.train.compute import subnormals_as_zero

if TYPE_CHECKING:
    from rlplug.protocols import State
    from rlplug.train.config import OffPolicyConfig
    from rlplug.train.context import RunContext
    from rlplug.train.supervisor import Supervisor

_log = logging.getLogger(__name__)


class OffPolicyTrainer:
    """Makes `updates_per_env_step` updates for each environment step after the warm-up.

    The updates due always follow from the step counter, so that neither the number of
    environments nor the size of an iteration changes how much is learned from each step.
    """

    def __init__(self, run: RunContext, supervisor: Supervisor) -> None:
        if run.replay is None:
            msg = "The off-policy trainer needs a replay: name a replay_config in its TrainerSpec"
            raise TypeError(msg)
        self.parts = run
        self.replay = run.replay
        self.supervisor = supervisor
        self.config = cast("OffPolicyConfig", run.config.train)
        self.batch_size = int(run.config.agent.batch_size)  # type: ignore[attr-defined]
        self.num_updates = 0
        self.learning_starts_at = self.config.warmup_env_steps
        self.updates_before_start = 0

    def run(self) -> None:
        """Train to the last environment step, or until the supervisor says stop."""
        collector, total = self.parts.collector, self.config.steps
        if self.learning_starts_at >= total:
            _log.warning(
                "Nothing will be learned: updates begin after step %s, and the run ends at %s. "
                "Lower train.warmup_env_steps, or train for longer.",
                *(f"{self.learning_starts_at:,}", f"{total:,}"),
            )
        while collector.env_steps < total and self.supervisor.stop_reason is None:
            wanted = min(self.config.collect_env_steps, total - collector.env_steps)
            for rollout in collector.collect(wanted):
                self.replay.add(rollout)
                self.supervisor.record_episodes(rollout.episodes)
            self._make_updates_due()
            self.supervisor.iteration_ended(self)

    def _make_updates_due(self) -> None:
        agent, collector = self.parts.agent, self.parts.collector
        agent.set_progress(collector.env_steps)
        self.replay.set_progress(collector.env_steps)
        due = self._updates_due(collector.env_steps)
        with subnormals_as_zero():
            for batch in self.replay.minibatches(due, self.batch_size):
                metrics, priorities = agent.update(batch)
                if priorities is not None:
                    self.replay.update_priorities(batch.replay_index, priorities)
                self.supervisor.record(metrics)
        if due:
            self.num_updates += due
            collector.set_weights(agent.policy_weights, self.num_updates)

    def _updates_due(self, env_steps: int) -> int:
        learned_from = max(0, env_steps - self.learning_starts_at)
        all_due = self.updates_before_start + int(learned_from * self.config.updates_per_env_step)
        return all_due - self.num_updates if len(self.replay) else 0

    def warm_up_again(self) -> None:
        """Fill an empty replay before the next update: for a run resumed without its replay."""
        self.learning_starts_at = self.parts.collector.env_steps + self.config.warmup_env_steps
        self.updates_before_start = self.num_updates

    def state_dict(self) -> State:
        """The counters; the parts have their own."""
        return {
            "num_updates": self.num_updates,
            "learning_starts_at": self.learning_starts_at,
            "updates_before_start": self.updates_before_start,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.num_updates = state["num_updates"]
        self.learning_starts_at = state["learning_starts_at"]
        self.updates_before_start = state["updates_before_start"]
