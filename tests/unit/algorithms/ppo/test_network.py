"""The actor-critic network: what is shared, how weights start, and its quick tanh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.algorithms.ppo.network import ActorCritic, build_network, tanh
from rlplug.seeding import Seeds

VECTOR = spaces.Box(-1.0, 1.0, (5,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)


def make(observation_space: Any = VECTOR, action_space: Any = None, **settings: Any) -> ActorCritic:
    space = action_space or spaces.Discrete(3)
    return build_network(
        PpoConfig(**settings), observation_space, space, seeds=Seeds(0), device="cpu"
    )


def test_policy_and_value_share_an_encoder_unless_told_otherwise() -> None:
    encoder = {"kind": "mlp", "hidden_sizes": (8,)}
    shared = make(network={"encoder": encoder})
    apart = make(network={"encoder": encoder, "share_encoder": False})
    for network, both in ((shared, True), (apart, False)):
        values = network.values(network.see(torch.rand(4, 5)))
        values.sum().backward()
        first = [p.grad is not None for p in network.encoders[0].parameters()]
        assert set(first) == {both}
    assert len(apart.encoders) == 2


def test_returns_without_baseline_need_no_value_network() -> None:
    network = make(advantage="returns", objective="policy-gradient")
    assert network.value_head is None
    assert network.towers.num_towers == 1
    distribution, value = network(network.see(torch.rand(4, 5)))
    assert value is None
    assert distribution.probs.shape == (4, 3)


@pytest.mark.parametrize("recurrent", ["none", "lstm", "gru"])
def test_hidden_weights_start_orthogonal_and_the_policy_head_small(recurrent: str) -> None:
    network = make(network={"recurrent": recurrent, "hidden_sizes": (16, 16)})
    for weight in network.towers.weights[1]:
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(16), atol=1e-5, rtol=0)
    for head, gain in ((network.policy_head, 0.01), (network.value_head, 1.0)):
        square, one = head.weight @ head.weight.T, torch.eye(len(head.weight))
        torch.testing.assert_close(square, gain**2 * one, atol=1e-5, rtol=0)
        assert not head.bias.any()


def test_residual_blocks_keep_their_own_initial_values_and_start_with_small_outputs() -> None:
    image = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    layers = {"trunk_sizes": (256,), "hidden_sizes": ()}
    network = make(image, network={"encoder": "impala-resnet", **layers})
    shown = torch.randint(256, (16, 8, 8, 3), dtype=torch.uint8)
    shown = shown.repeat_interleave(8, 1).repeat_interleave(8, 2)  # as in games
    value = network.values(network.see(shown))
    assert value.abs().max() < 0.5  # above 1 with orthogonal weights
    convolutions = [part for part in network.encoders.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 15
    assert all(part.bias is not None and part.bias.any() for part in convolutions)
    (trunk,) = network.encoders
    weight = trunk.layers[0].weight
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(256), atol=1e-4, rtol=0)


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = make()
    torch.manual_seed(2)
    second = make()
    for left, right in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(left, right)


def test_quick_tanh_is_tanh_and_so_is_its_slope() -> None:
    x = torch.linspace(-20, 20, 4001, dtype=torch.float32, requires_grad=True)
    quick = tanh(x)
    (slope,) = torch.autograd.grad(quick.sum(), x)
    exact = torch.tanh(x.double())
    assert (quick - exact).abs().max() < 2e-7
    assert (slope - (1 - exact**2)).abs().max() < 5e-7


def test_images_are_seen_as_they_are_and_vectors_beside_them_normalised() -> None:
    space = spaces.Dict({"camera": IMAGE, "speed": VECTOR})
    network = make(space, normalize_observations=True)
    network.normalizer.update({"camera": torch.zeros(2, 36, 36, 1), "speed": torch.eye(5)[:2]})
    camera = torch.randint(0, 255, (2, 36, 36, 1), dtype=torch.uint8)
    (visible, mask) = network.see({"camera": camera, "speed": torch.ones(2, 5)})
    assert mask is None
    assert visible["camera"] is camera
    assert visible["speed"][0, 0] == pytest.approx(1.0)  # mean ½, deviation ½
    distribution, value = network((visible, mask))
    assert distribution.probs.shape == (2, 3)
    assert value.shape == (2,)


def test_value_alone_is_the_value_of_both() -> None:
    network = make(network={"share_encoder": False})
    seen = network.see(torch.rand(4, 5))
    torch.testing.assert_close(network.values(seen), network(seen)[1])


def test_trunk_belongs_to_the_encoder_and_is_shared_like_it() -> None:
    one = make(network={"trunk_sizes": (7,), "hidden_sizes": ()})
    two = make(network={"trunk_sizes": (7,), "hidden_sizes": (), "share_encoder": False})
    assert one.towers.num_features == two.towers.num_features == 7
    assert [len(network.encoders) for network in (one, two)] == [1, 2]


@pytest.mark.parametrize(
    ("settings", "stores"),
    [({"trunk_sizes": (7,)}, True), ({}, False), ({"recurrent": "lstm"}, False),
     ({"trunk_sizes": (7,), "share_encoder": False}, False)],
)  # fmt: skip
def test_acting_values_what_it_sees_only_where_the_encoder_did_the_work(
    settings: dict[str, Any], stores: bool
) -> None:
    network = make(network=settings)
    seen = network.see(torch.rand(4, 5))
    state = torch.zeros(4, network.state_size) if network.state_size else None
    _, value, _ = network.act(seen, state)
    assert (value is not None) is stores
    if value is not None:
        torch.testing.assert_close(value, network.values(seen))
