"""The on-policy loop: collect a rollout, learn from it, throw it away.

collector.collect ─► agent.minibatches ─► agent.update ─► the next minibatch, epoch by epoch
▲                                                       │
└───────────────────── weights ─────────────────────────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from rlplug.protocols import Agent
from rlplug.train.compute import subnormals_as_zero
from rlplug.train.whole_episodes import WholeEpisodes, have_all_ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rlplug.data import Rollout
    from rlplug.protocols import State
    from rlplug.train.config import OnPolicyConfig
    from rlplug.train.context import RunContext
    from rlplug.train.supervisor import Supervisor


class OnPolicyAgent(Agent, Protocol):
    """An agent that makes its own minibatches, since it alone knows how often to go over them."""

    def minibatches(self, rollouts: Sequence[Rollout]) -> Iterator[Any]:
        """Yield what `update` takes, as often as is to be learned from it.

        Each is updated on before the next is asked for, and all are asked for: what must wait for
        the last update, such as running statistics, follows it.
        """
        ...


class OnPolicyTrainer:
    """Learns from every rollout once: with the weights that made it, unless workers do not wait.

    Schedules stand, during an iteration, where they stood when its rollout began: the first
    iteration learns at the full rate, and the last at more than none.
    """

    def __init__(self, run: RunContext, supervisor: Supervisor) -> None:
        self.parts = run
        self.agent = cast("OnPolicyAgent", run.agent)
        self.supervisor = supervisor
        self.config = cast("OnPolicyConfig", run.config.train)
        self.env_steps_per_rollout = self.config.rollout_length * run.config.launch.total_envs
        self.num_updates = 0
        self.whole_episodes = WholeEpisodes() if self.config.whole_episodes else None

    def run(self) -> None:
        """Train to the last environment step, or until the supervisor says stop."""
        collector = self.parts.collector
        while collector.env_steps < self.config.steps and self.supervisor.stop_reason is None:
            self.agent.set_progress(collector.env_steps)
            rollouts = self._collect()
            if self.whole_episodes is not None:
                rollouts = self.whole_episodes.take(rollouts)
            if rollouts:
                self._learn_from(rollouts)
            self.supervisor.iteration_ended(self)

    def _collect(self) -> list[Rollout]:
        """One rollout, or several until every environment has ended an episode."""
        collector = self.parts.collector
        rollouts: list[Rollout] = []
        while True:
            wanted = min(self.env_steps_per_rollout, self.config.steps - collector.env_steps)
            rollouts += collector.collect(wanted)
            is_last = collector.env_steps >= self.config.steps
            if is_last or self.whole_episodes is None or have_all_ended(rollouts):
                break
        for rollout in rollouts:
            self.supervisor.record_episodes(rollout.episodes)
        return rollouts

    def _learn_from(self, rollouts: list[Rollout]) -> None:
        with subnormals_as_zero():
            for minibatch in self.agent.minibatches(rollouts):
                self.supervisor.record(self.agent.update(minibatch).metrics)
                self.num_updates += 1
        self.parts.collector.set_weights(self.agent.policy_weights, self.num_updates)

    def warm_up_again(self) -> None:
        """Nothing to warm up: every iteration starts from an empty hand."""

    def state_dict(self) -> State:
        """The counter and the episodes that wait for their end; the parts have their own."""
        waiting = self.whole_episodes and self.whole_episodes.state_dict()
        return {"num_updates": self.num_updates, "whole_episodes": waiting}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`, the collector having been restored before."""
        self.num_updates = state["num_updates"]
        if self.whole_episodes is not None:
            self.whole_episodes.load_state_dict(state["whole_episodes"])
            self.whole_episodes.cut(self.parts.collector.restarted)
