from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from rlplug.errors import ShapeError
from rlplug.nn.noisy import NoisyLinear, remove_noise, resample_noise

KINDS = ["factorised", "independent"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def perturbations(layer, rows):
    """The noise on every weight [rows, inputs, outputs], read off by unit vectors."""
    units = torch.eye(layer.inputs).expand(rows, layer.inputs, layer.inputs)
    zeros = torch.zeros(rows, 1, layer.inputs)
    noisy = layer(units) - layer(zeros)
    layer.remove_noise()
    return (noisy - layer(units) + layer(zeros)).detach()


@pytest.mark.parametrize("kind", KINDS)
def test_layer_without_noise_is_its_mean_weights(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    features = torch.randn(5, 4)
    expected = nn.functional.linear(features, layer.weight_mean, layer.bias_mean)
    assert torch.equal(layer(features), expected)
    layer.resample(5, generator())
    assert not torch.allclose(layer(features), expected)
    layer.remove_noise()
    assert torch.equal(layer(features), expected)


def test_factorised_layer_starts_as_the_paper_says():
    layer = NoisyLinear(16, 500, "factorised")
    assert layer.weight_mean.abs().max() <= 0.25
    assert layer.weight_mean.abs().max() > 0.24
    assert (layer.weight_sigma == 0.125).all()
    assert (layer.bias_sigma == 0.125).all()


def test_independent_layer_starts_as_the_paper_says():
    layer = NoisyLinear(16, 500, "independent")
    assert layer.weight_mean.abs().max() <= math.sqrt(3) / 4
    assert layer.weight_mean.abs().max() > 0.98 * math.sqrt(3) / 4
    assert (layer.weight_sigma == 0.017).all()


def test_initial_sigma_is_scaled_where_factorised_and_used_as_it_is_where_independent():
    assert NoisyLinear(16, 2, "factorised", 0.8).weight_sigma[0, 0].item() == pytest.approx(0.2)
    assert NoisyLinear(16, 2, "independent", 0.8).weight_sigma[0, 0].item() == pytest.approx(0.8)


@pytest.mark.parametrize("kind", KINDS)
def test_variance_of_the_outputs_is_what_theory_says(kind):
    torch.manual_seed(0)
    layer = NoisyLinear(6, 2, kind, 0.4)
    nn.init.uniform_(layer.weight_sigma, 0.1, 0.6)
    nn.init.uniform_(layer.bias_sigma, 0.1, 0.6)
    features = torch.randn(6)
    rows = 60_000
    layer.resample(rows, generator())
    with torch.no_grad():
        outputs = layer(features.expand(rows, 6))
        mean = layer.weight_mean @ features + layer.bias_mean
        weights, bias = layer.weight_sigma**2 @ features**2, layer.bias_sigma**2
    # E f(ε)² = E|ε| = √(2/π); the bias shares f(ε_out) with the weights, the inputs' noise is even
    shrink = math.sqrt(2 / math.pi) if kind == "factorised" else 1.0
    expected = shrink**2 * weights + shrink * bias
    torch.testing.assert_close(outputs.var(0), expected, rtol=0.04, atol=0)
    torch.testing.assert_close(outputs.mean(0), mean, rtol=0, atol=0.02)


def test_factorised_noise_is_an_outer_product():
    layer = NoisyLinear(5, 4, "factorised", 0.5)
    layer.resample(3, generator())
    for matrix in perturbations(layer, 3):
        singular = torch.linalg.svdvals(matrix)
        assert singular[0] > 0.05
        assert (singular[1:] < 1e-6).all()


def test_independent_noise_is_no_outer_product():
    layer = NoisyLinear(5, 4, "independent", 0.5)
    layer.resample(3, generator())
    for matrix in perturbations(layer, 3):
        assert torch.linalg.matrix_rank(matrix) == 4


def test_factorised_noise_is_the_signed_root_of_a_normal():
    layer = NoisyLinear(3, 2, "factorised", 0.5)
    layer.resample(1, generator(7))
    draws = torch.randn(1, 5, generator=generator(7))[0]
    f = draws.sign() * draws.abs().sqrt()
    expected = layer.weight_sigma.detach().T * torch.outer(f[:3], f[3:])
    torch.testing.assert_close(perturbations(layer, 1)[0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_has_its_own_noise(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    same = torch.ones(6, 4)
    layer.resample(6, generator())
    outputs = layer(same)
    assert len(outputs.unique(dim=0)) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_different_samples_is_uncorrelated(kind):
    layer = NoisyLinear(4, 3000, kind, 0.5)
    layer.resample(2, generator())
    first, second = (layer(torch.ones(2, 4)) - layer.bias_mean).detach()
    first, second = first - layer.weight_mean.sum(1), second - layer.weight_mean.sum(1)
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_is_shared_by_the_batch(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    layer.resample(1, generator())
    assert len(layer(torch.ones(6, 4)).unique(dim=0)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_axes_between_share_their_samples_noise(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    features = torch.randn(5, 7, 4)
    layer.resample(5, generator())
    together = layer(features)
    apart = torch.stack([layer(features[:, place]) for place in range(7)], dim=1)
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_another_batch_size_is_refused(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    layer.resample(5, generator())
    with pytest.raises(ShapeError, match=r"drawn for 5 samples and the batch has 6.*resample\(6"):
        layer(torch.ones(6, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_means_and_sigmas(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    layer.resample(5, generator())
    layer(torch.randn(5, 4)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_drawn_from_the_given_generator_alone(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    state = torch.random.get_rng_state()
    features = torch.ones(2, 4)
    layer.resample(2, generator(1))
    first = layer(features)
    layer.resample(2, generator(1))
    assert torch.equal(layer(features), first)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_no_part_of_the_state(kind):
    layer = NoisyLinear(4, 3, kind, 0.5)
    before = layer.state_dict().keys()
    layer.resample(2, generator())
    assert layer.state_dict().keys() == before
    assert before == {"weight_mean", "weight_sigma", "bias_mean", "bias_sigma"}


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_one_network_have_noise_of_their_own(kind):
    network = nn.Sequential(NoisyLinear(3, 3, kind, 0.5), NoisyLinear(3, 3, kind, 0.5))
    for layer in network:
        layer.weight_sigma.data.fill_(1.0)
    resample_noise(network, 4, generator())
    first, second = (perturbations(layer, 4) for layer in network)
    assert ((first - second).abs() > 1e-4).all()


def test_noise_of_a_whole_network_is_drawn_and_removed():
    network = nn.Sequential(
        nn.Linear(4, 4), NoisyLinear(4, 4, "factorised", 0.5), NoisyLinear(4, 2, "independent", 0.5)
    )
    features = torch.randn(3, 4)
    quiet = network(features)
    resample_noise(network, 3, generator())
    noisy = network(features)
    assert not torch.allclose(noisy, quiet)
    twin = copy.deepcopy(network)
    assert torch.equal(twin(features), noisy)
    remove_noise(network)
    assert torch.equal(network(features), quiet)
    assert torch.equal(twin(features), noisy)
