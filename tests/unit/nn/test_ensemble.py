from __future__ import annotations

import pytest
import torch
from torch import nn

from rlplug.nn.ensemble import EnsembleMlp

B = 5


def build(members: int, *sizes: int, seed: int = 0) -> EnsembleMlp:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EnsembleMlp(members, sizes).double()


def member(ensemble: EnsembleMlp, index: int) -> nn.Sequential:
    """One member as ordinary layers."""
    layers: list[nn.Module] = []
    for weight, bias in zip(ensemble.weights, ensemble.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2]).double()
        linear.weight.data, linear.bias.data = weight[index].T.clone(), bias[index, 0].clone()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sizes", [(3, 7, 6, 1), (3, 7, 4), (3, 1), (3, 2)])
@pytest.mark.parametrize("members", [1, 2, 3])
def test_each_member_is_an_mlp_of_its_own(members: int, sizes: tuple[int, ...]) -> None:
    ensemble, x = build(members, *sizes), draw(B, 3)
    expected = torch.stack([member(ensemble, index)(x) for index in range(members)])
    torch.testing.assert_close(ensemble(x), expected)


def test_the_first_members_alone_give_their_own_outputs() -> None:
    ensemble, x = build(3, 4, 6, 1), draw(B, 4)
    torch.testing.assert_close(ensemble(x, members=2), ensemble(x)[:2])


def test_gradients_are_those_of_separate_networks() -> None:
    ensemble, x = build(2, 3, 6, 5, 1), draw(B, 3).requires_grad_()
    (ensemble(x)[1].square().sum()).backward()
    alone, y = member(ensemble, 1), x.detach().requires_grad_()
    alone(y).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for weight, bias, linear in zip(ensemble.weights, ensemble.biases, alone[::2], strict=True):
        torch.testing.assert_close(weight.grad[1].T, linear.weight.grad)
        torch.testing.assert_close(bias.grad[1, 0], linear.bias.grad)
        assert not weight.grad[0].any()


def test_the_input_is_not_changed() -> None:
    x = draw(B, 3)
    before = x.clone()
    build(2, 3, 1)(x)
    build(2, 3, 4, 1)(x)
    assert torch.equal(x, before)


def test_members_start_different_and_within_the_bounds_of_a_linear_layer() -> None:
    ensemble = build(2, 100, 50, 1)
    for weight, bias, inputs in zip(ensemble.weights, ensemble.biases, (100, 50), strict=True):
        assert not torch.equal(weight[0], weight[1])
        assert 0.9 < weight.abs().max() * inputs**0.5 <= 1.0 + 1e-6
        assert bias.abs().max() * inputs**0.5 <= 1.0 + 1e-6
