"""Runs of the on-policy family without a run folder, and rollouts written by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.data import Rollout
from rlplug.protocols import AgentContext
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.train.build import build
from rlplug.train.on_policy import OnPolicyTrainer

SMALL = {"hidden_sizes": (16,)}
OBSERVATIONS = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)


class QuietSupervisor:
    """Writes nothing, and stops after so many iterations."""

    def __init__(self, stop_after: int | None) -> None:
        self.stop_after = stop_after
        self.iterations = 0
        self.stop_reason: str | None = None
        self.metrics: list[dict[str, Any]] = []
        self.episodes: list[Any] = []

    def record(self, metrics: dict[str, Any]) -> None:
        self.metrics.append(metrics)

    def record_episodes(self, episodes: Any) -> None:
        self.episodes += episodes

    def iteration_ended(self, trainer: Any) -> None:
        self.iterations += 1
        if self.iterations == self.stop_after:
            self.stop_reason = "enough"


class Trained(NamedTuple):
    """A run, where it stopped."""

    run: Any
    trainer: OnPolicyTrainer
    supervisor: QuietSupervisor

    @property
    def agent(self) -> PpoAgent:
        return self.run.agent

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a checkpoint holds, in the order in which it is restored."""
        return self.agent, self.run.collector, self.trainer

    @property
    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in self.agent.network.parameters()])

    def mean_return(self, episodes: int = 100) -> float:
        return self.run.evaluate(episodes, 0).mean_return

    def go_on(self, iterations: int) -> None:
        self.supervisor.stop_reason = None
        self.supervisor.stop_after = self.supervisor.iterations + iterations
        self.trainer.run()


@pytest.fixture
def prepare(tmp_path):
    """Build a run and do not start it: `prepare("ppo", make_env, **{"agent.gamma": 0.9})`."""
    running = []

    def build_run(algorithm: str, environment: Any, seed: int = 0, **settings: Any) -> Trained:
        resolved = resolve(algorithm, environment, preset=None, seed=seed, overrides=settings)
        run = build(resolved, tmp_path)
        running.append(run)
        supervisor = QuietSupervisor(None)
        return Trained(run, OnPolicyTrainer(run, supervisor), supervisor)

    yield build_run
    for run in running:
        run.close()


@pytest.fixture
def train(prepare):
    """Train to the end: `train("ppo", make_env, **{"train.steps": 4_000})`."""

    def train_run(algorithm: str, environment: Any, seed: int = 0, **settings: Any) -> Trained:
        trained = prepare(algorithm, environment, seed, **settings)
        trained.trainer.run()
        return trained

    return train_run


def make_agent(seed: int = 0, *, action_space: Any = None, **settings: Any) -> PpoAgent:
    """A small agent on three numbers."""
    settings["network"] = SMALL | settings.get("network", {})
    space = action_space or gymnasium.spaces.Discrete(2)
    return PpoAgent(PpoConfig(**settings), AgentContext(OBSERVATIONS, space, 1_000, Seeds(seed)))


def make_rollout(
    num_steps: int = 6,
    num_envs: int = 2,
    *,
    ends: dict[tuple[int, int], str] | None = None,
    invalid: tuple[tuple[int, int], ...] = (),
    seed: int = 0,
    state_size: int = 0,
    **fields: Any,
) -> Rollout:
    """Random numbers; `ends[t, n]` is "terminated" or "truncated"."""
    rng = np.random.default_rng(seed)
    shape = (num_steps, num_envs)
    terminated, over, valid = np.zeros(shape, bool), np.zeros(shape, bool), np.ones(shape, bool)
    for step, how in (ends or {}).items():
        over[step] = True
        terminated[step] = how == "terminated"
    for step in invalid:
        valid[step] = False
    final_steps = np.argwhere(over)
    extras = {"log_prob": np.log(rng.uniform(0.3, 0.7, shape)).astype(np.float32)}
    if state_size:
        extras["recurrent_state"] = rng.normal(size=(*shape, state_size)).astype(np.float32)
    rollout = Rollout(
        observation=rng.normal(size=(*shape, 3)).astype(np.float32),
        action=rng.integers(2, size=shape),
        reward=rng.normal(size=shape).astype(np.float32),
        terminated=terminated,
        episode_over=over,
        valid=valid,
        extras=extras,
        next_observation=rng.normal(size=(num_envs, 3)).astype(np.float32),
        final_steps=final_steps,
        final_observation=rng.normal(size=(len(final_steps), 3)).astype(np.float32),
        streams=np.arange(num_envs),
        weights_version=0,
        env_steps=num_steps * num_envs,
        episodes=(),
    )
    return rollout._replace(**fields)


@pytest.fixture
def by_hand():
    """`by_hand.agent(**settings)` and `by_hand.rollout(num_steps, num_envs, ends={...})`."""
    return SimpleNamespace(agent=make_agent, rollout=make_rollout, observations=OBSERVATIONS)
