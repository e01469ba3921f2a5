"""Distributions where they are easily wrong: squashing, masks, draws, extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlplug.nn.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def integral(density: torch.Tensor, points: torch.Tensor) -> float:
    return float(torch.trapezoid(density, points))


def raw_grid(mean: float, std: float) -> torch.Tensor:
    """Points before the tanh: they lie densely where the squashed density is steep."""
    return torch.linspace(mean - 9 * std, mean + 9 * std, 40_001, dtype=torch.float64)


def squashed(mean: float, std: float) -> SquashedGaussian:
    parameters = torch.tensor([[mean], [math.log(std)]], dtype=torch.float64)
    return SquashedGaussian(parameters[:1], parameters[1:])


@pytest.mark.parametrize("mean", [0.0, 0.7, -1.5])
@pytest.mark.parametrize("std", [0.05, 0.5, 1.0])
def test_squashed_density_integrates_to_one(mean, std):
    action = raw_grid(mean, std).tanh()
    log_prob = squashed(mean, std).log_prob(action.unsqueeze(1))
    assert integral(log_prob.exp(), action) == pytest.approx(1.0, abs=1e-4)


def test_squashed_density_in_the_units_of_a_box_is_lower_by_the_log_of_its_half_width():
    low, high = -2.0, 4.0
    action = raw_grid(0.3, 0.6).tanh()
    in_box = low + (action + 1) / 2 * (high - low)
    log_prob = squashed(0.3, 0.6).log_prob(action.unsqueeze(1)) - math.log((high - low) / 2)
    assert integral(log_prob.exp(), in_box) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("std", "error"), [(0.05, 1e-6), (0.5, 1e-6), (1.0, 1e-6), (2.0, 2e-4)])
@pytest.mark.parametrize("mean", [0.0, 1.3])
def test_squashed_entropy_is_the_integral_of_its_density(mean, std, error):
    raw = raw_grid(mean, std)
    gaussian = torch.distributions.Normal(mean, std)
    slope = torch.log1p(-raw.tanh().square().clamp(max=1 - 1e-15))
    entropy = integral(gaussian.log_prob(raw).exp() * (slope - gaussian.log_prob(raw)), raw)
    assert float(squashed(mean, std).entropy()) == pytest.approx(entropy, abs=error + 1e-6)


def test_squashed_entropy_is_the_mean_of_minus_the_drawn_log_probabilities(generator):
    distribution = SquashedGaussian(torch.full((200_000, 1), 0.4), torch.zeros(1))
    _, log_prob = distribution.sample_with_log_prob(generator)
    assert float(-log_prob.mean()) == pytest.approx(float(distribution.entropy()[0]), abs=0.01)


def test_squashed_log_probability_is_finite_and_right_far_outside_the_steep_part(generator):
    distribution = SquashedGaussian(torch.full((1, 1), 40.0), torch.zeros(1))
    action, log_prob = distribution.sample_with_log_prob(generator)
    assert action.item() == 1.0  # rounded: a tanh that is inverted would be infinite here
    raw = distribution.gaussian.sample(torch.Generator().manual_seed(3)).double()
    expected = -0.5 * (raw - 40) ** 2 - 0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - raw)
    assert log_prob.item() == pytest.approx(expected.item(), rel=1e-5)
    assert math.isfinite(distribution.log_prob(action).item())


def test_squashed_draws_carry_gradients_to_mean_and_deviation(generator):
    mean = torch.zeros(5, 2, requires_grad=True)
    log_std = torch.zeros(2, requires_grad=True)
    action, log_prob = SquashedGaussian(mean, log_std).sample_with_log_prob(generator)
    (action.sum() + log_prob.sum()).backward()
    assert mean.grad is not None
    assert log_std.grad is not None
    assert mean.grad.abs().min() > 0
    assert log_std.grad.abs().min() > 0


def test_squashed_divergence_is_that_of_its_density():
    p, q = squashed(0.2, 0.5), squashed(-0.3, 0.8)
    action = raw_grid(0.2, 0.5).tanh().unsqueeze(1)
    log_p, log_q = p.log_prob(action), q.log_prob(action)
    divergence = integral(log_p.exp() * (log_p - log_q), action.squeeze(1))
    assert float(p.kl(q)) == pytest.approx(divergence, abs=1e-4)


def test_modes_draw_nothing():
    x = torch.tensor([[0.5, -2.0]])
    assert Categorical(x).mode().tolist() == [0]
    assert Bernoulli(x).mode().tolist() == [[1, 0]]
    assert DiagonalGaussian(x, torch.ones(2)).mode().tolist() == x.tolist()
    assert torch.equal(SquashedGaussian(x, torch.ones(2)).mode(), x.tanh())


def frequencies(drawn: torch.Tensor, count: int) -> np.ndarray:
    return np.bincount(drawn.flatten().numpy(), minlength=count) / drawn.numel()


def test_categorical_draws_follow_the_probabilities(generator):
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    drawn = Categorical(logits.expand(100_000, 4)).sample(generator)
    np.testing.assert_allclose(frequencies(drawn, 4), logits.softmax(0), atol=0.006)


def test_multi_categorical_draws_follow_each_choice(generator):
    logits = torch.tensor([0.0, 1.0, 0.5, 0.0, -1.0])
    drawn = MultiCategorical(logits.expand(100_000, 5), [2, 3]).sample(generator)
    np.testing.assert_allclose(frequencies(drawn[:, 0], 2), logits[:2].softmax(0), atol=0.006)
    np.testing.assert_allclose(frequencies(drawn[:, 1], 3), logits[2:].softmax(0), atol=0.006)


def test_bernoulli_draws_follow_the_odds(generator):
    logits = torch.tensor([-1.0, 0.0, 2.0])
    drawn = Bernoulli(logits.expand(100_000, 3)).sample(generator)
    torch.testing.assert_close(drawn.float().mean(0), logits.sigmoid(), rtol=0, atol=0.006)


def test_gaussian_draws_have_their_mean_and_deviation_in_each_dimension(generator):
    mean, std = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0])
    drawn = DiagonalGaussian(mean.expand(100_000, 2), std.log()).sample(generator)
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.std(0), std, rtol=0.01, atol=0)
    correlation = torch.corrcoef(drawn.T)[0, 1]
    assert abs(float(correlation)) < 0.02  # one draw per dimension, not one for all


def test_draws_come_from_the_given_generator_alone():
    x = torch.zeros(4, 3)
    product = Product(
        (Categorical(x), Bernoulli(x), DiagonalGaussian(x, x), SquashedGaussian(x, x))
    )
    before = torch.get_rng_state()
    first, second = (product.sample(torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_mask_that_allows_nothing_leaves_every_choice_in_its_range(generator):
    logits = torch.randn(500, 5, generator=generator)
    nothing = torch.zeros(500, 5, dtype=torch.int8)
    distribution = MultiCategorical(logits, [2, 3], nothing)
    drawn = distribution.sample(generator)
    assert drawn[:, 0].unique().tolist() == [0, 1]
    assert drawn[:, 1].unique().tolist() == [0, 1, 2]
    entropy = torch.full((500,), math.log(2) + math.log(3))
    torch.testing.assert_close(distribution.entropy(), entropy)


def test_gradients_through_a_mask_are_finite():
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
    distribution = Categorical(logits, mask)
    loss = distribution.entropy() + distribution.kl(Categorical(torch.zeros(3, 4), mask))
    (1000 * (loss + distribution.log_prob(torch.tensor([0, 3, 1])))).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[mask == 0].eq(0).all()


def test_gradients_through_choices_of_unequal_numbers_are_finite():
    logits = torch.zeros(3, 5, requires_grad=True)
    mask = torch.tensor([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    distribution = MultiCategorical(logits, [2, 3], mask)
    (1000 * distribution.entropy()).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_masked_action_has_a_ratio_of_zero():
    distribution = Categorical(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    log_prob = distribution.log_prob(torch.tensor([1]))
    assert log_prob.isfinite().all()
    assert log_prob.exp().item() == 0.0


def test_certain_choices_have_no_entropy():
    logits = torch.tensor([[1e4, -1e4]])
    assert Categorical(logits).entropy().item() == 0.0
    assert Bernoulli(logits).entropy().item() == pytest.approx(0.0, abs=1e-6)


def test_a_gaussian_can_become_precise():
    precise = DiagonalGaussian(torch.zeros(1, 1), torch.full((1,), -10.0))
    assert precise.entropy().item() == pytest.approx(-10 + 0.5 * math.log(2 * math.pi * math.e))
    assert precise.log_prob(torch.zeros(1, 1)).item() == pytest.approx(10 - 0.9189385)
