"""Whole runs of the family: the same again, broken off and resumed, and beside an evaluation."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

ALGORITHMS = ["ppo", "a2c", "reinforce", "recurrent-ppo", "appo", "impala"]
NORMALIZED = {"agent.normalize_observations": True, "agent.normalize_rewards": True}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("extra", [{}, NORMALIZED], ids=["plain", "normalised"])
def test_a_run_restored_from_its_parts_continues_bit_for_bit(
    algorithm: str, extra: dict[str, Any], prepare: Any
) -> None:
    settings = {
        "train.steps": 5_000,
        "train.rollout_length": 12,
        "agent.optimizer.decay": "linear",
    } | extra
    unbroken = prepare(algorithm, "cartpole", **settings)
    unbroken.go_on(3)
    saved = [copy.deepcopy(part.state_dict()) for part in unbroken.parts]
    resumed = prepare(algorithm, "cartpole", **settings)
    resumed.go_on(1)  # whatever it did before is forgotten
    for part, state in zip(resumed.parts, saved, strict=True):
        part.load_state_dict(state)
    for trained in (unbroken, resumed):
        trained.go_on(3)
    assert torch.equal(unbroken.weights, resumed.weights)
    assert unbroken.run.collector.env_steps == resumed.run.collector.env_steps


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_seed_same_weights_and_other_seed_other_weights(algorithm: str, train: Any) -> None:
    settings = {"train.steps": 600, "train.rollout_length": 16, "agent.epochs": 2}
    first, again, other = (train(algorithm, "cartpole", seed, **settings) for seed in (0, 0, 1))
    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)


def test_evaluating_between_iterations_changes_nothing(prepare: Any) -> None:
    settings = {"train.steps": 5_000, "train.rollout_length": 16} | NORMALIZED
    watched, alone = (prepare("ppo", "pendulum", **settings) for _ in range(2))
    for trained in (watched, alone):
        for _ in range(2):
            trained.go_on(1)
            if trained is watched:
                trained.mean_return(10)
    assert torch.equal(watched.weights, alone.weights)
    count = watched.agent.policy_weights()["normalizer.statistics.0.count"]
    assert count == watched.run.collector.env_steps


def test_a_run_ends_at_the_step_that_was_asked_for(train: Any) -> None:
    trained = train("ppo", "cartpole", **{"train.steps": 1_000, "train.rollout_length": 48})
    assert trained.run.collector.env_steps == 1_000  # 2 rollouts of 384 and one of 232
    assert trained.supervisor.iterations == 3
