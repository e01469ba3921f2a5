from __future__ import annotations

import pytest
import torch
from torch import nn

from rlplug.nn import linear as module
from rlplug.nn.fully_connected import FullyConnected
from rlplug.nn.linear import Linear


@pytest.fixture(params=[0, 10**12], ids=["oneDNN", "common"], autouse=True)
def _path(request, monkeypatch):
    """Each test on either way to multiply, whatever would gain."""
    monkeypatch.setattr(module, "_MIN_PRODUCTS", request.param)
    monkeypatch.setattr(module, "_MIN_ROWS_OF_A_SUM", 32)


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
