from __future__ import annotations

import numpy as np
import pytest
import torch

from rlplug.algorithms.dqn.bootstrap import (
    build_bootstrap,
    greedy_policy,
    munchausen_policy,
    munchausen_reward,
)
from rlplug.algorithms.dqn.config import DoubleBootstrap, MaxBootstrap, MunchausenBootstrap
from rlplug.data import TransitionBatch


class Table:
    """A network that tells fixed values for the observations "now" and "next"."""

    def __init__(self, **values):
        self.values = {name: torch.tensor(table) for name, table in values.items()}

    def q_values(self, observation):
        return self.values[observation]


class Untouched:
    """A network that must not be asked."""

    def q_values(self, observation):
        raise AssertionError(f"asked for the values of {observation!r}")


def batch(action=(0, 1), reward=(1.0, 2.0)):
    rows = len(action)
    return TransitionBatch(
        observation="now",
        action=torch.tensor(action),
        reward=torch.tensor(reward),
        discount=torch.full((rows,), 0.9),
        next_observation="next",
        importance_weight=torch.ones(rows),
        replay_index=torch.arange(rows),
    )


def log_softmax(values):
    """By shifting and summing, in float64."""
    values = np.asarray(values, dtype=np.float64)
    shifted = values - values.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


NEXT = torch.tensor([[1.0, 3.0, 2.0], [5.0, 4.0, 5.0]])


def test_max_takes_the_targets_best_action_and_asks_no_network():
    bootstrap = build_bootstrap(MaxBootstrap())
    policy, reward = bootstrap(Untouched(), Untouched(), batch(), NEXT)
    assert policy.probs.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert policy.entropy_bonus.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert reward.tolist() == [1.0, 2.0]


def test_double_takes_the_online_networks_best_action():
    bootstrap = build_bootstrap(DoubleBootstrap())
    online = Table(next=[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    policy, reward = bootstrap(online, Untouched(), batch(), NEXT)
    assert policy.probs.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert policy.entropy_bonus.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert reward.tolist() == [1.0, 2.0]


def test_ties_go_to_the_lowest_index():
    assert greedy_policy(torch.zeros(1, 4)).probs.tolist() == [[1, 0, 0, 0]]
    assert greedy_policy(torch.tensor([[0.0, 7.0, 7.0]])).probs.tolist() == [[0, 1, 0]]


def test_munchausen_asks_the_target_network_and_never_the_online_one():
    config = MunchausenBootstrap(scale=0.9, temperature=0.5, floor=-2.0)
    now = [[0.3, 0.1, -0.2], [1.0, 0.2, 0.9]]
    policy, reward = build_bootstrap(config)(Untouched(), Table(now=now), batch(), NEXT)
    log_policy = log_softmax(NEXT.numpy() / 0.5)
    np.testing.assert_allclose(policy.probs, np.exp(log_policy), atol=1e-6)
    np.testing.assert_allclose(policy.entropy_bonus, -0.5 * log_policy, atol=1e-6)
    taken = 0.5 * log_softmax(np.array(now) / 0.5)[[0, 1], [0, 1]]
    np.testing.assert_allclose(reward, [1, 2] + 0.9 * np.clip(taken, -2, 0), atol=1e-6)


def test_munchausen_soft_value_is_the_log_sum_exp():
    # Σ π (q − τ log π) = τ log Σ exp(q / τ)
    q_values = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    policy = munchausen_policy(q_values, 0.3)
    soft_value = (policy.probs * (q_values + policy.entropy_bonus)).sum(1)
    torch.testing.assert_close(soft_value, 0.3 * torch.logsumexp(q_values / 0.3, dim=1))


def test_munchausen_by_hand():
    q_values, action = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    policy = munchausen_policy(q_values, 2.0)
    assert policy.probs.tolist() == [[0.5, 0.5]]
    torch.testing.assert_close(policy.entropy_bonus, torch.full((1, 2), 2 * np.log(2)).float())
    settings = {"scale": 0.5, "temperature": 2.0}
    free = munchausen_reward(q_values, action, floor=-10.0, **settings)
    assert free.item() == pytest.approx(0.5 * 2 * np.log(0.5))
    clipped = munchausen_reward(q_values, action, floor=-0.25, **settings)
    assert clipped.item() == pytest.approx(0.5 * -0.25)


def test_munchausen_floor_bounds_the_log_policy_before_the_scale():
    q_values = torch.tensor([[0.0, 1000.0]])
    reward = munchausen_reward(q_values, torch.tensor([0]), scale=0.9, temperature=0.03, floor=-1.0)
    assert reward.item() == pytest.approx(-0.9)


@pytest.mark.parametrize("gap", [1e2, 1e4, 1e6])
def test_munchausen_is_finite_for_values_far_apart(gap):
    policy = munchausen_policy(torch.tensor([[0.0, gap, -gap]]), 0.03)
    assert policy.probs.tolist() == [[0.0, 1.0, 0.0]]
    assert policy.entropy_bonus.isfinite().all()
    assert (policy.probs * policy.entropy_bonus).sum().item() == 0.0


def test_small_temperature_is_the_greedy_policy():
    q_values = torch.tensor([[0.1, 0.4, 0.3]])
    torch.testing.assert_close(
        munchausen_policy(q_values, 1e-4).probs, greedy_policy(q_values).probs
    )
