from __future__ import annotations

import numpy as np
import pytest
import torch

from rlplug.errors import ShapeError
from rlplug.ops.value_losses import huber, project_categorical, quantile_huber_loss


def numpy_huber(error, threshold):
    return np.where(
        np.abs(error) <= threshold, error**2 / 2, threshold * (np.abs(error) - threshold / 2)
    )


def numpy_projection(probs, atoms_from, atoms_to):
    """Mass by mass: each goes to its two neighbours on the support."""
    projected = np.zeros_like(probs)
    for row in range(probs.shape[0]):
        for mass, place in zip(probs[row], atoms_from[row], strict=True):
            clipped = min(max(place, atoms_to[0]), atoms_to[-1])
            distances = np.abs(atoms_to - clipped) / (atoms_to[1] - atoms_to[0])
            projected[row] += mass * np.clip(1 - distances, 0, 1)
    return projected


def numpy_quantile_loss(quantiles, fractions, targets, kappa):
    losses = np.zeros(len(quantiles))
    for row in range(len(quantiles)):
        for predicted, fraction in zip(quantiles[row], fractions[row], strict=True):
            errors = targets[row] - predicted
            weights = np.where(errors < 0, 1 - fraction, fraction)
            distances = np.abs(errors) if kappa == 0 else numpy_huber(errors, kappa) / kappa
            losses[row] += (weights * distances).mean()
    return losses


def test_huber_by_hand():
    error = torch.tensor([0.0, 0.5, -0.5, 2.0, -3.0])
    assert huber(error, 1.0).tolist() == [0.0, 0.125, 0.125, 1.5, 2.5]
    assert huber(error, 2.0).tolist() == [0.0, 0.125, 0.125, 2.0, 4.0]
    assert huber(error, None).tolist() == [0.0, 0.125, 0.125, 2.0, 4.5]


@pytest.mark.parametrize("threshold", [0.3, 1.0, 5.0])
def test_huber_agrees_with_numpy(threshold):
    error = np.random.default_rng(0).normal(0, 3, size=(50,))
    np.testing.assert_allclose(
        huber(torch.from_numpy(error), threshold), numpy_huber(error, threshold), rtol=1e-6
    )


def test_gradient_of_huber_is_the_clipped_error():
    error = torch.tensor([-3.0, -0.5, 0.5, 7.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(huber(error, 1.0).sum(), error)
    assert gradient.tolist() == [-1.0, -0.5, 0.5, 1.0]


def test_projection_agrees_with_numpy():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(11), size=20)
    atoms_from = rng.normal(0, 4, size=(20, 11))
    support = np.linspace(-3, 5, 11)
    projected = project_categorical(*map(torch.from_numpy, (probs, atoms_from, support)))
    np.testing.assert_allclose(projected, numpy_projection(probs, atoms_from, support), atol=1e-6)


def test_projection_by_hand():
    support = torch.tensor([0.0, 1.0, 2.0])
    atoms_from = torch.tensor([[0.25, 1.0, 9.0]])
    probs = torch.tensor([[0.4, 0.5, 0.1]])
    projected = project_categorical(probs, atoms_from, support)
    torch.testing.assert_close(projected, torch.tensor([[0.3, 0.6, 0.1]]))


def test_terminal_zero_reward_keeps_its_mass_on_the_middle_atom():
    # JORLDY loses all of it: 0 is exactly atom 25 of 51 in [-10, 10]
    support = torch.linspace(-10, 10, 51)
    probs = torch.full((1, 51), 1 / 51)
    projected = project_categorical(probs, torch.zeros(1, 51), support)
    torch.testing.assert_close(projected[0, 25], torch.tensor(1.0))
    assert projected.sum() == pytest.approx(1.0)


def test_projection_onto_the_same_support_changes_nothing():
    support = torch.linspace(-10, 10, 51)
    probs = torch.rand(4, 51, generator=torch.Generator().manual_seed(0)).softmax(1)
    torch.testing.assert_close(project_categorical(probs, support.expand(4, 51), support), probs)


def test_mass_beyond_the_support_goes_to_its_ends():
    support = torch.tensor([-1.0, 0.0, 1.0])
    probs = torch.tensor([[0.2, 0.3, 0.5]])
    projected = project_categorical(probs, torch.tensor([[-7.0, 6.0, 1.0]]), support)
    torch.testing.assert_close(projected, torch.tensor([[0.2, 0.0, 0.8]]))


def test_projection_of_shared_atoms_is_refused():
    with pytest.raises(ShapeError, match=r"atoms_from has shape \[3\], expected \[B, K\]"):
        project_categorical(torch.ones(2, 3), torch.ones(3), torch.ones(3))


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0])
def test_quantile_loss_agrees_with_numpy(kappa):
    rng = np.random.default_rng(2)
    quantiles, targets = rng.normal(0, 2, (9, 5)), rng.normal(0, 2, (9, 7))
    fractions = rng.uniform(size=(9, 5))
    loss = quantile_huber_loss(*map(torch.from_numpy, (quantiles, fractions, targets)), kappa=kappa)
    expected = numpy_quantile_loss(quantiles, fractions, targets, kappa)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_quantile_loss_by_hand():
    quantiles, fractions = torch.tensor([[0.0, 2.0]]), torch.tensor([0.25, 0.75])
    targets = torch.tensor([[1.0, 4.0]])
    # δ = [[1, 4], [-1, 2]]; tilt = [[.25, .25], [.25, .75]]; κ = 0 takes |δ|
    assert quantile_huber_loss(quantiles, fractions, targets, 0.0).item() == pytest.approx(
        (0.25 * 1 + 0.25 * 4) / 2 + (0.25 * 1 + 0.75 * 2) / 2
    )
    # κ = 1: huber(δ) = [[.5, 3.5], [.5, 1.5]]
    assert quantile_huber_loss(quantiles, fractions, targets, 1.0).item() == pytest.approx(
        (0.25 * 0.5 + 0.25 * 3.5) / 2 + (0.25 * 0.5 + 0.75 * 1.5) / 2
    )


def test_shared_fractions_are_those_of_every_row():
    quantiles, targets = torch.randn(4, 3), torch.randn(4, 6)
    fractions = torch.tensor([0.1, 0.5, 0.9])
    shared = quantile_huber_loss(quantiles, fractions, targets, 1.0)
    spelled_out = quantile_huber_loss(quantiles, fractions.expand(4, 3), targets, 1.0)
    assert torch.equal(shared, spelled_out)


def test_gradient_of_the_quantile_loss_is_the_tilted_clipped_error():
    quantiles = torch.tensor([[0.0]], requires_grad=True)
    targets = torch.tensor([[3.0, -0.5, 0.25]])
    loss = quantile_huber_loss(quantiles, torch.tensor([0.9]), targets, 1.0)
    (gradient,) = torch.autograd.grad(loss.sum(), quantiles)
    assert gradient.item() == pytest.approx(-(0.9 * 1.0 + 0.1 * -0.5 + 0.9 * 0.25) / 3)


@pytest.mark.parametrize("kappa", [0.0, 0.05])
def test_quantile_regression_finds_the_quantiles(kappa):
    targets = torch.linspace(0, 1, 101).unsqueeze(0)
    fractions = torch.tensor([0.1, 0.5, 0.9])
    quantiles = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.SGD([quantiles], lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        quantile_huber_loss(quantiles, fractions, targets, kappa).sum().backward()
        optimizer.step()
    torch.testing.assert_close(quantiles[0].detach(), fractions, atol=0.06, rtol=0)


def test_targets_of_another_batch_are_refused():
    with pytest.raises(ShapeError, match="targets"):
        quantile_huber_loss(torch.ones(4, 3), torch.ones(3), torch.ones(1, 3), 1.0)
