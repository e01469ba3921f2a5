"""Policy losses against plain numpy, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlplug.errors import ShapeError
from rlplug.nn.distributions import Categorical
from rlplug.ops.policy_losses import (
    clipped_surrogate,
    clipped_value_loss,
    deterministic_policy_loss,
    expected_soft_value,
    explained_variance,
    one_step_target,
    policy_gradient_loss,
    smoothed_action,
    soft_value,
    standardized,
    temperature_loss,
)

SEEDS = st.integers(0, 10_000)
EPSILON = 0.2


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(SEEDS)
def test_the_surrogate_is_the_smaller_of_its_two_terms(seed):
    log_prob, old, advantage = normal(seed, 3, 8)
    result = clipped_surrogate(*map(torch.from_numpy, (log_prob, old, advantage)), clip_ratio=0.2)
    for i in range(8):
        ratio = math.exp(log_prob[i] - old[i])
        bounded = min(max(ratio, 0.8), 1.2)
        objective = min(ratio * advantage[i], bounded * advantage[i])
        assert result.loss[i].item() == pytest.approx(-objective)
        assert result.is_clipped[i].item() == (bounded != ratio)
        assert result.approximate_kl[i].item() == pytest.approx(ratio - 1 - math.log(ratio))


def surrogate_gradient(ratio: float, advantage: float) -> float:
    log_prob = torch.tensor([math.log(ratio)], requires_grad=True)
    result = clipped_surrogate(
        log_prob, torch.zeros(1), torch.tensor([advantage]), clip_ratio=EPSILON
    )
    result.loss.sum().backward()
    assert log_prob.grad is not None
    assert torch.equal(result.slope(), log_prob.grad)
    return log_prob.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient"),
    [
        (1.0, 2.0, -2.0),  # the first epoch: the plain policy gradient
        (1.3, 2.0, 0.0),  # already raised enough
        (1.3, -2.0, 2.6),  # raised though it should fall: pulled back
        (0.7, -2.0, 0.0),  # already lowered enough
        (0.7, 2.0, -1.4),
    ],
)
def test_the_surrogate_stops_where_it_has_moved_enough(ratio, advantage, gradient):
    assert surrogate_gradient(ratio, advantage) == pytest.approx(gradient, rel=1e-5)


def test_approximate_kl_estimates_the_divergence_from_the_old_policy():
    old = torch.distributions.Normal(0.0, 1.0)
    new = torch.distributions.Normal(0.3, 0.9)
    generator = torch.Generator().manual_seed(0)
    action = torch.randn(200_000, generator=generator)
    result = clipped_surrogate(
        new.log_prob(action), old.log_prob(action), torch.zeros(200_000), clip_ratio=EPSILON
    )
    expected = torch.distributions.kl_divergence(old, new).item()
    assert result.approximate_kl.mean().item() == pytest.approx(expected, rel=0.03)
    assert (result.approximate_kl >= 0).all()


def test_diagnostics_carry_no_gradient():
    log_prob = torch.zeros(3, requires_grad=True)
    result = clipped_surrogate(log_prob, torch.zeros(3), torch.ones(3), clip_ratio=EPSILON)
    assert result.loss.requires_grad
    assert not result.approximate_kl.requires_grad


def test_value_clipping_takes_the_larger_error_of_each_sample_not_of_the_means():
    value, old = torch.tensor([2.0, 2.0]), torch.tensor([0.0, 0.0])
    target = torch.tensor([2.0, -1.0])
    loss = clipped_value_loss(value, old, target, clip_range=0.5)
    # clipped values are 0.5: max(0, 2.25) and max(9, 2.25); the means alone would give 4.5 for both
    assert loss.tolist() == [2.25, 9.0]


@given(SEEDS)
def test_value_clipping_with_a_wide_range_is_the_squared_error(seed):
    value, old, target = torch.from_numpy(normal(seed, 3, 5))
    loss = clipped_value_loss(value, old, target, clip_range=100.0)
    torch.testing.assert_close(loss, (value - target) ** 2)


def test_a_policy_gradient_leaves_the_value_alone():
    logits = torch.zeros(1, 2, requires_grad=True)
    value = torch.zeros(1, requires_grad=True)
    loss = policy_gradient_loss(logits.log_softmax(1)[:, 0], torch.tensor([3.0]) - value)
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-1.5, 1.5]]  # −A (1 − π), A π
    assert value.grad is None


@given(SEEDS, st.floats(0, 3))
def test_the_expected_soft_value_is_the_mean_over_drawn_actions(seed, temperature):
    q_values, logits = torch.from_numpy(normal(seed, 2, 4, 5))
    log_probs = logits.log_softmax(1)
    each = [soft_value(q_values[:, a], log_probs[:, a], temperature) for a in range(5)]
    mean = (torch.stack(each, dim=1) * log_probs.exp()).sum(1)
    torch.testing.assert_close(expected_soft_value(q_values, log_probs, temperature), mean)


def test_soft_values_are_greatest_for_the_boltzmann_policy():
    q_values = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    log_probs = (q_values / 0.5).log_softmax(1).requires_grad_()
    best = expected_soft_value(q_values, log_probs, 0.5)
    # its soft value is the log-partition function α log Σ exp(Q/α)
    assert best.item() == pytest.approx(0.5 * torch.logsumexp(q_values / 0.5, 1).item())
    for other in ([0.2, 0.7, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.85, 0.05]):
        log_other = torch.tensor([other], dtype=torch.float64).log()
        assert expected_soft_value(q_values, log_other, 0.5) < best


def test_a_masked_action_has_no_part_in_a_soft_value():
    logits = torch.zeros(1, 3, requires_grad=True)
    policy = Categorical(logits, torch.tensor([[1, 1, 0]]))
    value = expected_soft_value(torch.tensor([[1.0, 3.0, 1e6]]), policy.log_probs, 1000.0)
    assert value.item() == pytest.approx(2 + 1000 * math.log(2))
    value.sum().backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([-0.5, 0.5, 0.0], abs=1e-4)


def test_the_temperature_gets_its_gradient_from_its_own_loss_alone():
    log_temperature = torch.zeros((), requires_grad=True)
    soft = soft_value(torch.ones(3), torch.ones(3), log_temperature.exp())
    assert not soft.requires_grad
    temperature_loss(log_temperature, torch.ones(3), 0.5).mean().backward()
    assert log_temperature.grad is not None


@pytest.mark.parametrize(("entropy", "rises"), [(-3.0, True), (-1.0, False)])
def test_the_temperature_rises_while_the_entropy_is_below_its_target(entropy, rises):
    log_temperature = torch.tensor(0.3, requires_grad=True)
    entropies = torch.full((4,), entropy, requires_grad=True)
    loss = temperature_loss(log_temperature, entropies, target_entropy=-2.0)
    assert loss.shape == (4,)
    loss.mean().backward()
    assert log_temperature.grad is not None
    assert (log_temperature.grad.item() < 0) == rises
    assert log_temperature.grad.item() == pytest.approx(math.exp(0.3) * (entropy + 2.0))
    assert entropies.grad is None


def test_the_target_of_n_steps_takes_its_discount_from_the_batch_and_no_gradient():
    next_value = torch.tensor([10.0, 10.0], requires_grad=True)
    target = one_step_target(torch.tensor([1.9, 1.0]), torch.tensor([0.81, 0.0]), next_value)
    assert target.tolist() == pytest.approx([10.0, 1.0])
    assert not target.requires_grad


def test_a_constant_reward_with_a_constant_entropy_has_the_value_that_follows():
    """v = r / (1 − γ) + γ α H / (1 − γ) when every step is drawn with entropy H."""
    gamma, temperature, entropy = 0.9, 0.5, math.log(2)
    q = torch.zeros(1)
    log_prob = torch.full((1,), -entropy)
    for _ in range(300):
        next_value = soft_value(q, log_prob, temperature)
        q = one_step_target(torch.ones(1), torch.full((1,), gamma), next_value)
    assert q.item() == pytest.approx((1 + gamma * temperature * entropy) / 0.1, rel=1e-4)


def test_smoothing_noise_is_clipped_and_differs_in_every_dimension():
    generator = torch.Generator().manual_seed(0)
    action = torch.zeros(50_000, 2)
    smoothed = smoothed_action(action, noise_scale=0.2, noise_clip=0.5, generator=generator)
    assert smoothed.abs().max().item() == 0.5
    assert smoothed.std().item() == pytest.approx(0.2, rel=0.02)
    assert abs(torch.corrcoef(smoothed.T)[0, 1].item()) < 0.02
    assert action.eq(0).all()


def test_smoothed_actions_stay_within_the_bounds():
    generator = torch.Generator().manual_seed(0)
    edge = torch.ones(1000, 1)
    smoothed = smoothed_action(edge, noise_scale=0.2, noise_clip=0.5, generator=generator)
    assert smoothed.max().item() == 1.0
    assert smoothed.min().item() >= 0.5


def test_the_deterministic_loss_climbs_the_value():
    action = torch.tensor([0.5], requires_grad=True)
    deterministic_policy_loss(-((action - 2) ** 2)).sum().backward()
    assert action.grad is not None
    assert action.grad.item() == -3.0


def test_advantages_are_standardised_over_time_and_environments_together():
    advantage = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    result = standardized(advantage)
    assert result.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert result.std().item() == pytest.approx(1.0, abs=1e-6)
    # the environments keep their difference: their own means are not taken away
    assert (result[:, 0] < 0).all()
    assert result[1, 1] > 0


def test_rows_that_are_no_transition_do_not_shift_advantages():
    advantage = torch.tensor([1.0, 2.0, float("nan"), 4.0])
    valid = torch.tensor([True, True, False, True])
    result = standardized(advantage, valid)
    torch.testing.assert_close(result[valid], standardized(advantage[valid]))
    assert result[2] == 0


@pytest.mark.parametrize("valid", [None, torch.tensor([True])])
def test_a_single_advantage_stays_as_it_is(valid):
    assert standardized(torch.tensor([5.0]), valid).tolist() == [5.0]


def test_equal_advantages_become_zero():
    assert standardized(torch.full((4,), 3.0)).tolist() == [0.0] * 4


def test_explained_variance_of_perfect_constant_and_opposite_values():
    target = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(target, target).item() == 1.0
    assert explained_variance(torch.full((3,), 7.0), target).item() == pytest.approx(0.0)
    assert explained_variance(-target, target).item() == pytest.approx(-3.0)
    assert explained_variance(target, torch.ones(3)).isnan()


@pytest.mark.parametrize(
    "call",
    [
        policy_gradient_loss,
        lambda column, row: clipped_surrogate(row, row, column, clip_ratio=0.2),
        lambda column, row: clipped_value_loss(column, row, row, clip_range=0.2),
        lambda column, row: soft_value(column, row, 0.1),
        lambda column, row: one_step_target(row, row, column),
        explained_variance,
        lambda column, _: deterministic_policy_loss(column),
        lambda column, row: expected_soft_value(column, row.unsqueeze(0), 0.1),
    ],
)
def test_a_column_that_meets_a_row_is_refused(call):
    with pytest.raises(ShapeError):
        call(torch.ones(4, 1), torch.ones(4))


def test_losses_of_segments_keep_their_axes():
    x = torch.ones(3, 2)
    assert clipped_surrogate(x, x, x, clip_ratio=0.2).loss.shape == (3, 2)
    assert clipped_value_loss(x, x, x, clip_range=0.2).shape == (3, 2)
    assert policy_gradient_loss(x, x).shape == (3, 2)
