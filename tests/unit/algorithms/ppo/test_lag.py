"""Acting with weights that are several updates old: V-trace learns from it what is true."""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from typing import Any

import numpy as np
import pytest

from rlplug.algorithms.ppo.experience import observe
from rlplug.algorithms.ppo.policy import PpoPolicy
from rlplug.collect.local import LocalCollector
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds
from rlplug.testing.probes import ActionFromObservation, ConstantReward
from rlplug.train.on_policy import OnPolicyTrainer

FAST = {
    "agent.network.hidden_sizes": (32,),
    "agent.optimizer.name": "adam",
    "agent.optimizer.arguments": {},
    "agent.optimizer.learning_rate": 0.01,
    "agent.optimizer.decay": "linear",
    "agent.entropy_coefficient": 0.0,
    "train.rollout_length": 8,
}
APPO = {"agent.batch_size": 64, "agent.epochs": 4}
ALGORITHMS = {"appo": FAST | APPO, "impala": FAST}


class LaggingCollector:
    """A local collector whose policy acts with the weights published `lag` iterations before."""

    def __init__(self, collector: LocalCollector, lag: int) -> None:
        self._collector = collector
        self._published: deque[Any] = deque()
        self._lag = lag
        self.ages: list[int] = []
        self._version = 0

    def collect(self, num_env_steps: int) -> Any:
        rollouts = self._collector.collect(num_env_steps)
        self.ages += [self._version - rollout.weights_version for rollout in rollouts]
        return rollouts

    def set_weights(self, weights: Any, version: int) -> None:
        self._version = version
        self._published.append((copy.deepcopy(weights()), version))
        if len(self._published) > self._lag:
            old, old_version = self._published.popleft()
            self._collector.set_weights(lambda: old, old_version)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collector, name)


def train_lagging(prepare: Any, algorithm: str, make: Any, lag: int, **settings: Any) -> Any:
    """To the end, with a policy of its own in the collector."""
    trained = prepare(algorithm, make, **ALGORITHMS[algorithm] | settings)
    config, adapter = trained.run.config, trained.run.collector._adapter
    streams = np.arange(adapter.num_envs)
    context = PolicyContext(
        adapter.observation_space, adapter.action_space, streams, len(streams), 1, Seeds(1)
    )
    policy = PpoPolicy(config.agent, context)
    policy.set_weights(trained.agent.policy_weights())
    collector = LocalCollector(adapter, policy, streams=streams, seeds=Seeds(2), live_weights=False)
    lagging = LaggingCollector(collector, lag)
    run = dataclasses.replace(trained.run, collector=lagging)
    trainer = OnPolicyTrainer(run, trained.supervisor)
    trainer.run()
    return trained._replace(run=run, trainer=trainer)


class Truncated(ConstantReward):
    def __init__(self) -> None:
        super().__init__(truncated=True)


class Choice(ActionFromObservation):
    def __init__(self) -> None:
        super().__init__(start=3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_rollout_is_as_old_as_it_says(algorithm: str, prepare: Any) -> None:
    trained = train_lagging(prepare, algorithm, Choice, 3, **{"train.steps": 64 * 6})
    per_iteration = trained.trainer.num_updates // 6
    ages = np.array([0, 1, 2, 3, 3, 3]) * per_iteration
    assert trained.run.collector.ages == ages.tolist()
    assert {"rho", "rho_clip_fraction"} <= trained.agent.metrics().keys()


@pytest.mark.learning
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lag", [1, 4])
def test_the_better_action_is_found_with_old_weights(
    algorithm: str, lag: int, prepare: Any
) -> None:
    steps = 8_000 if algorithm == "appo" else 16_000
    trained = train_lagging(prepare, algorithm, Choice, lag, **{"train.steps": steps})
    assert trained.mean_return() > 0.99


@pytest.mark.learning
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_reward_one_for_ever_is_worth_ten_with_old_weights(algorithm: str, prepare: Any) -> None:
    settings = {"agent.gamma": 0.9, "train.steps": 16_000}
    trained = train_lagging(prepare, algorithm, Truncated, 4, **settings)
    (rollout,) = trained.run.collector.collect(8 * 10)
    value = observe(rollout, trained.agent.network, "cpu").value
    np.testing.assert_allclose(value, 10.0, rtol=0.05)
