"""The real parts of one short run: environments, agent, collector, replay and trainer.

No supervisor, no files: reports, evaluations and checkpoints are the run's business, and a check
that needs them trains for real.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import optree

from rlplug.protocols import PolicyContext
from rlplug.registry.discovery import import_string
from rlplug.resolve import check
from rlplug.seeding import Seeds
from rlplug.testing.comparison import draws, float_arrays
from rlplug.train.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rlplug.data import Array, EpisodeStats, Rollout, Tree
    from rlplug.protocols import Collector, Policy, State, Trainer
    from rlplug.resolve import Resolved


class Iteration(NamedTuple):
    """What a run had come to at the end of an iteration."""

    env_steps: int
    updates: int
    learned: list[Array]
    """Every number that the agent's state holds; none where they are not kept."""


class Onlooker:
    """Stands where a run's supervisor stands: notes what happens, and stops at a step count."""

    def __init__(self, run: ShortRun, stop_at: int | None) -> None:
        self.stop_reason: str | None = None
        self.updates_at: list[int] = []
        """Environment steps collected before each update."""
        self.iterations: list[Iteration] = []
        self.keeps_numbers = False
        """Whether to copy what has been learned at the end of each iteration."""
        self._run = run
        self._stop_at = stop_at

    def record(self, metrics: Mapping[str, Any]) -> None:
        """Note when an update was made."""
        del metrics
        self.updates_at.append(self._run.collector.env_steps)

    def record_episodes(self, episodes: Iterator[EpisodeStats]) -> None:
        """Episodes are not looked at."""

    def iteration_ended(self, trainer: Trainer) -> None:
        """Note where the run is."""
        env_steps = self._run.collector.env_steps
        learned = float_arrays(self._run.agent.state_dict()) if self.keeps_numbers else []
        self.iterations.append(Iteration(env_steps, trainer.num_updates, learned))
        if self._stop_at is not None and env_steps >= self._stop_at:
            self.stop_reason = "half of the run is over"


class Taped:
    """A collector that keeps its rollouts."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.rollouts: list[Rollout] = []

    def collect(self, num_env_steps: int) -> Any:
        """Collect, and keep."""
        collected = self._collector.collect(num_env_steps)
        self.rollouts += collected
        return collected

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collector, name)


class ShortRun:
    """One run of an algorithm under resolved settings.

    Args:
        resolved: What to run.
        folder: Where a replay on disk goes.
        stop_at: Environment steps after which the trainer is told to stop.
    """

    def __init__(self, resolved: Resolved, folder: Path, *, stop_at: int | None = None) -> None:
        self.spaces = check(resolved)
        parts = build(resolved, folder)
        self.resolved = resolved
        self.collector: Any = Taped(parts.collector)
        self.parts = replace(parts, collector=self.collector)
        self.agent: Any = parts.agent
        self.onlooker = Onlooker(self, stop_at)
        make_trainer = import_string(resolved.trainer.trainer)
        self.trainer: Trainer = make_trainer(self.parts, self.onlooker)

    def train(self) -> ShortRun:
        """To the last step, or to `stop_at`."""
        self.trainer.run()
        return self

    def context_for(self, num_envs: int, seed: int = 5) -> PolicyContext:
        """A place to act in, with generators of its own."""
        steps = int(self.resolved.config.train.steps)  # type: ignore[attr-defined]
        streams = np.arange(num_envs)
        return PolicyContext(*self.spaces, streams, num_envs, steps, Seeds(seed))

    def policy(self, num_envs: int, seed: int = 5) -> Policy:
        """An acting half of its own, as evaluation has one, at the end of the run."""
        policy: Policy = self.agent.policy(self.context_for(num_envs, seed))
        policy.set_progress(self.collector.env_steps)
        return policy

    def observations(self, count: int) -> Tree:
        """`[count, *obs]` drawn from the observation space, the same each time."""
        return draws(self.spaces[0], count)

    def state(self) -> dict[str, State]:
        """Everything that a checkpoint holds of these parts, by component."""
        state = {
            "agent": self.agent.state_dict(),
            "trainer": self.trainer.state_dict(),
            "collector": self.collector.state_dict(),
        }
        if self.parts.replay is not None:
            state["replay"] = self.parts.replay.state_dict()
        return state

    def load(self, state: Mapping[str, State]) -> None:
        """Continue from `state()`."""
        self.agent.load_state_dict(state["agent"])
        self.collector.load_state_dict(state["collector"])
        self.trainer.load_state_dict(state["trainer"])
        if self.parts.replay is not None:
            self.parts.replay.load_state_dict(state["replay"])

    def actions(self) -> list[Array]:
        """Every action leaf of every transition, in order."""
        return [
            np.asarray(leaf)[rollout.valid]
            for rollout in self.collector.rollouts
            for leaf in optree.tree_leaves(rollout.action)
        ]

    def fingerprint(self) -> dict[str, list[Array]]:
        """What a setting may change, by name: arrays that can be compared.

        Numbers in the agent's state count where they are arrays of floats: weights, targets,
        moments, running statistics. Settings that the state merely repeats do not.
        """
        policy, count = self.policy(64), 64
        state = policy.initial_state(count)
        step = policy.act(self.observations(count), state, mode="greedy")
        counts = [self.collector.env_steps, self.trainer.num_updates]
        return {
            "weights": float_arrays([self.agent.state_dict(), self.agent.policy_weights()]),
            "actions": self.actions(),
            "greedy actions": [np.asarray(leaf) for leaf in optree.tree_leaves(step.action)],
            "greedy extras": float_arrays([step.extras, step.state]),
            "events": [np.array(self.onlooker.updates_at), np.array(counts)],
        }
