from __future__ import annotations

import pytest
import torch
from torch import nn

from rlplug.nn import linear as module
from rlplug.nn.ensemble import EnsembleMlp
from rlplug.nn.fully_connected import FullyConnected, FullyConnectedEnsemble
from rlplug.nn.linear import Linear


@pytest.fixture(params=[0, 10**12], ids=["oneDNN", "common"], autouse=True)
def _path(request, monkeypatch):
    """Each test on either way to multiply, whatever would gain."""
    monkeypatch.setattr(module, "_TAKES_ONEDNN", module._HAS_ONEDNN)
    monkeypatch.setattr(module, "_MIN_PRODUCTS", request.param)


def network(*, relus=(True, True)):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = [Linear(5, 16), Linear(16, 8), Linear(8, 3)]
    parts = []
    for layer, has_relu in zip(layers, (*relus, False), strict=True):
        parts += [layer, nn.ReLU()] if has_relu else [layer]
    return nn.Sequential(*parts)


@pytest.mark.parametrize("relus", [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_outputs_and_gradients_are_autograds(relus, rows):
    net = network(relus=relus)
    layers = FullyConnected.of(net)
    generator = torch.Generator().manual_seed(rows)
    features = torch.randn(rows, 5, generator=generator)
    slope = torch.randn(rows, 3, generator=generator)
    expected = net(features)
    expected.backward(slope)
    gradients = [torch.full_like(each, torch.nan) for each in layers.parameters]
    with torch.inference_mode():
        kept = layers.forward(features)
        layers.backward(slope.clone(), gradients)
        assert torch.equal(layers(features), kept)
    torch.testing.assert_close(kept, expected.detach())
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-6)


def test_parameters_are_the_layers_own_in_their_order():
    net = network()
    found = FullyConnected.of(net).parameters
    assert [id(one) for one in found] == [id(one) for one in net.parameters()]


def test_features_are_not_changed():
    features = torch.randn(4, 5)
    before = features.clone()
    with torch.inference_mode():
        FullyConnected.of(network()).forward(features)
    assert torch.equal(features, before)


@pytest.mark.parametrize(
    "modules",
    [
        [],
        [nn.ReLU(), Linear(2, 2)],
        [Linear(2, 2), nn.ReLU()],
        [Linear(2, 2), nn.ReLU(), nn.ReLU(), Linear(2, 2)],
        [Linear(2, 2), nn.Tanh(), Linear(2, 2)],
        [nn.Linear(2, 2)],
        [nn.Conv2d(1, 1, 1), Linear(2, 2)],
    ],
)
def test_what_is_not_such_layers_is_none(modules):
    assert FullyConnected.of(modules) is None


def ensemble(members, sizes):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return EnsembleMlp(members, sizes)


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(5, 1), (5, 16, 1), (5, 16, 8, 1)])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_ensembles_outputs_and_slopes_are_autograds(members, sizes, rows):
    net = ensemble(members, sizes)
    layers = FullyConnectedEnsemble(net)
    generator = torch.Generator().manual_seed(rows)
    features = torch.randn(rows, 5, generator=generator).requires_grad_()
    slope = torch.randn(members, rows, generator=generator)
    expected = net(features).squeeze(2)
    expected.backward(slope)
    gradients = [torch.full_like(each, torch.nan) for each in layers.parameters]
    with torch.inference_mode():
        outputs = layers.forward(features.detach())
        layers.backward(slope, gradients)
        of_last_two = layers.slope_of_features(slope, first=3)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(of_last_two, features.grad[:, 3:])
    for gradient, parameter in zip(gradients, net.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-5)


def test_ensembles_parameters_are_in_its_modules_order():
    net = ensemble(2, (5, 8, 1))
    for one, other in zip(FullyConnectedEnsemble(net).parameters, net.parameters(), strict=True):
        assert one is other


def test_hidden_layers_of_fewer_bits_keep_a_last_layer_of_float32():
    net, members = network(), ensemble(2, (5, 16, 8, 1))
    features = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    for one, layers in (
        (net, FullyConnected.of(net, torch.bfloat16)),
        (members, FullyConnectedEnsemble(members, torch.bfloat16)),
    ):
        gradients = [torch.full_like(each, torch.nan) for each in layers.parameters]
        with torch.inference_mode():
            outputs = layers.forward(features)
            expected = one(features).reshape(outputs.shape)
            layers.backward(torch.ones_like(outputs), gradients)
        assert outputs.dtype is torch.float32
        assert all(gradient.isfinite().all() for gradient in gradients)
        torch.testing.assert_close(outputs, expected, rtol=0.02, atol=0.02)
        assert not torch.equal(outputs, expected)


@pytest.mark.parametrize("asked", [1, 5, 8])
def test_slopes_of_the_last_rows_alone_are_those_of_all_with_zeros_before(asked):
    layers = FullyConnected.of(network())
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    slope = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    slope[: 8 - asked] = 0
    found, expected = ([torch.empty_like(p) for p in layers.parameters] for _ in range(2))
    with torch.inference_mode():
        layers.forward(features)
        layers.backward(slope[8 - asked :], found)
        layers.forward(features)
        layers.backward(slope, expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
