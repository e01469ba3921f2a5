"""What multiplies in bfloat16, and what never does."""

from __future__ import annotations

import copy

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from rlplug.nn import precision as module
from rlplug.nn.config import MlpEncoder, NatureCnn
from rlplug.nn.critic import ActionCritic, DiscreteCritic
from rlplug.nn.encoders import build_encoder
from rlplug.nn.precision import (
    Float32Output,
    Precision,
    has_bfloat16,
    in_float32,
    keep_casts,
    widened,
)

VECTOR = gymnasium.spaces.Box(-1, 1, (5,), np.float32)
IMAGE = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)


def rows(space, count=6):
    space.seed(0)
    return torch.from_numpy(np.stack([space.sample() for _ in range(count)]))


def dtypes_of(network, *inputs):
    """The dtype of what each layer with weights returns."""
    seen = {}
    handles = [
        layer.register_forward_hook(lambda _, __, result, name=name: seen.update({name: result}))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    result = network(*inputs)
    for handle in handles:
        handle.remove()
    return [tensor.dtype for tensor in seen.values()], result


class Small(nn.Module):
    """Two layers, of which the last is the output."""

    def __init__(self, name, *, convolution=False):
        super().__init__()
        first = nn.Conv2d(4, 8, 8, 8) if convolution else nn.Linear(5, 8)
        self.layers = Float32Output(first, nn.Flatten(), nn.Linear(8 * 100**convolution, 3))
        self.precision = Precision(name, self.layers)

    def forward(self, x):
        with self.precision(self):
            return self.layers(x)


@pytest.mark.parametrize(("count", "is_cast"), [(1, False), (15, False), (16, True)])
def test_few_rows_that_nobody_learns_from_are_not_worth_casting_the_weights(count, is_cast):
    network = Small("bfloat16")
    with network.precision(network, rows=count):
        assert torch.is_autocast_enabled("cpu") == is_cast


def test_hidden_layers_multiply_in_bfloat16_and_the_last_in_float32():
    inner, result = dtypes_of(Small("bfloat16"), rows(VECTOR))
    assert inner == [torch.bfloat16, torch.float32]
    assert result.dtype is torch.float32


def test_float32_is_what_it_was():
    network, x = Small("float32"), rows(VECTOR)
    inner, result = dtypes_of(network, x)
    assert set(inner) == {torch.float32}
    torch.testing.assert_close(result, nn.Sequential(*network.layers)(x), rtol=0, atol=0)


def test_bfloat16_is_near_and_not_equal():
    network, x = Small("bfloat16"), rows(VECTOR)
    full = nn.Sequential(*network.layers)(x)
    difference = (network(x) - full).abs().max()
    assert 0 < difference < 2**-7 * full.abs().max() * 4


@pytest.mark.parametrize(("convolution", "supported"), [(True, True), (True, False), (False, True)])
def test_auto_takes_bfloat16_for_convolutions_on_processors_that_have_it(
    convolution, supported, monkeypatch
):
    monkeypatch.setattr(module, "has_bfloat16", lambda device: supported)
    network = Small("auto", convolution=convolution)
    x = torch.rand(2, 4, 80, 80) if convolution else rows(VECTOR)
    inner, _ = dtypes_of(network, x)
    assert (torch.bfloat16 in inner) is (convolution and supported)


def test_weights_and_gradients_stay_float32_and_point_the_same_way():
    network, full, x = Small("bfloat16"), Small("float32"), rows(VECTOR)
    full.load_state_dict(network.state_dict())
    for one in (network, full):
        one(x).square().mean().backward()
    for mine, other in zip(network.parameters(), full.parameters(), strict=True):
        assert mine.dtype is torch.float32
        assert mine.grad.dtype is torch.float32
        assert torch.cosine_similarity(mine.grad.flatten(), other.grad.flatten(), dim=0) > 0.999


def change_in_place(network):
    with torch.no_grad():
        torch._foreach_lerp_([*network.parameters()], [torch.rand(()), *[torch.rand(())] * 3], 0.5)


def load(network):
    network.load_state_dict(Small("float32").state_dict())


@pytest.mark.parametrize("change", [lambda network: None, change_in_place, load])
@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_kept_casts_are_those_of_the_weights_there_are_now(name, change):
    network, x = Small(name).requires_grad_(requires_grad=False), rows(VECTOR)
    keep_casts(network)
    network(x)
    change(network)
    plain = Small(name)
    plain.load_state_dict(network.state_dict())
    assert torch.equal(network(x), plain(x))


def test_kept_casts_belong_to_a_copy_of_the_network_too():
    network, x = Small("bfloat16").requires_grad_(requires_grad=False), rows(VECTOR)
    keep_casts(network)
    before = network(x)
    other = copy.deepcopy(network)
    change_in_place(other)
    assert torch.equal(network(x), before)
    assert not torch.equal(other(x), before)
    assert other.state_dict().keys() == Small("bfloat16").state_dict().keys()


def test_weights_are_cast_once_where_casts_are_kept():
    network, x = Small("bfloat16").requires_grad_(requires_grad=False), rows(VECTOR)
    assert num_casts_of_weights(network, x) == 1
    keep_casts(network)
    assert [num_casts_of_weights(network, x) for _ in range(3)] == [1, 0, 0]


def num_casts_of_weights(network, x):
    """How often the first layer's weight is cast."""
    shapes = []

    class Casts(TorchDispatchMode):
        def __torch_dispatch__(self, operator, _types, args=(), kwargs=None):
            if operator is torch.ops.aten._to_copy.default:
                shapes.append(args[0].shape)
            return operator(*args, **(kwargs or {}))

    with Casts():
        network(x)
    return shapes.count((8, 5))


def test_nothing_outside_the_region_is_touched():
    network = Small("bfloat16")
    network(rows(VECTOR))
    assert not torch.is_autocast_enabled("cpu")
    assert (torch.rand(3, 3) @ torch.rand(3, 3)).dtype is torch.float32


def test_images_are_cast_once_and_bytes_are_exact():
    channels_last = gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8)  # no patches
    encoder = build_encoder(NatureCnn(), channels_last)
    image = rows(channels_last, 2)
    seen = []
    encoder.layers[0].register_forward_hook(lambda _, __, result: seen.append(result))
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(image).dtype is torch.bfloat16
    encoder(image)
    in_bfloat16, in_float = seen
    assert in_bfloat16.dtype is torch.bfloat16
    torch.testing.assert_close(in_bfloat16.float(), in_float, rtol=2**-8, atol=0)
    assert torch.equal(image.to(torch.bfloat16).float(), image.float())


@pytest.mark.parametrize("build", [ActionCritic, DiscreteCritic])
def test_critics_estimate_in_float32(build):
    encoder = build_encoder(MlpEncoder(hidden_sizes=(8,)), VECTOR)
    torch.manual_seed(1)
    low = build(encoder, 3, (16, 16), 2, "bfloat16")
    full = build(encoder, 3, (16, 16), 2, "float32")
    full.load_state_dict(low.state_dict())
    arguments = [rows(VECTOR)] + ([torch.rand(6, 3)] if build is ActionCritic else [])
    estimate, expected = low(*arguments), full(*arguments)
    assert estimate.dtype is torch.float32
    assert not torch.equal(estimate, expected)
    torch.testing.assert_close(estimate, expected, rtol=0, atol=0.01)


def test_region_of_float32_inside_one_of_bfloat16():
    x = torch.rand(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        product = x @ x
        with in_float32(product):
            assert (x @ widened(product)).dtype is torch.float32
        assert (x @ x).dtype is torch.bfloat16
    double = x.double()
    assert widened(double) is double


def test_a_device_that_is_unknown_has_no_bfloat16():
    assert has_bfloat16("meta") is False
