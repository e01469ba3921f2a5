from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlplug.errors import ConfigError, IncompatibleError
from rlplug.nn import encoders as module
from rlplug.nn.config import AutoEncoder, ImpalaResNet, MlpEncoder, NatureCnn
from rlplug.nn.encoders import build_encoder

PLAIN = MlpEncoder(hidden_sizes=())
"""No layers: shows what reaches the first of them."""


def image_space(*shape, dtype=np.uint8):
    return spaces.Box(0, 255 if dtype == np.uint8 else 1, shape, dtype)


def test_mlp_is_linear_and_relu_for_each_size():
    encoder = build_encoder(MlpEncoder(hidden_sizes=(8, 5)), spaces.Box(-1, 1, (3,)))
    observation = torch.randn(6, 3)
    first, second = (layer for layer in encoder.modules() if isinstance(layer, nn.Linear))
    expected = second(first(observation).relu()).relu()
    assert encoder.num_features == 5
    assert torch.equal(encoder(observation), expected)


def test_encoding_without_layers_is_the_flat_observation():
    encoder = build_encoder(PLAIN, spaces.Box(-1, 1, (2, 3), np.float64))
    observation = torch.arange(12, dtype=torch.float64).reshape(2, 2, 3)
    assert encoder(observation).tolist() == observation.reshape(2, 6).tolist()
    assert encoder(observation).dtype == torch.float32


def test_observation_of_a_single_number_is_one_feature():
    encoder = build_encoder(PLAIN, spaces.Box(-1, 1, ()))
    assert encoder(torch.tensor([0.5, 0.25])).tolist() == [[0.5], [0.25]]


def test_bytes_are_scaled_to_one_once():
    encoder = build_encoder(PLAIN, spaces.Box(0, 255, (2,), np.uint8))
    assert encoder(torch.tensor([[0, 255]], dtype=torch.uint8)).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("config", [AutoEncoder(), ImpalaResNet(channels=(4,)), PLAIN])
def test_encoding_leaves_the_observation_as_it_was(config, dtype):
    # rlpyt scaled float images in the caller's own memory
    encoder = build_encoder(config, image_space(36, 36, 3, dtype=dtype))
    observation = torch.ones(2, 36, 36, 3).to(torch.uint8 if dtype == np.uint8 else torch.float32)
    before = observation.clone()
    encoder(observation)
    assert torch.equal(observation, before)


def test_bytes_that_come_as_floats_stay_as_they_were():
    encoder = build_encoder(NatureCnn(), image_space(1, 36, 36))
    observation = torch.full((2, 1, 36, 36), 255.0).contiguous(memory_format=torch.channels_last)
    expected = encoder(observation.to(torch.uint8))
    torch.testing.assert_close(encoder(observation), expected)
    assert observation.eq(255.0).all()


def test_float_images_are_not_scaled():
    as_bytes = build_encoder(NatureCnn(), image_space(36, 36, 1))
    as_floats = build_encoder(NatureCnn(), image_space(36, 36, 1, dtype=np.float32))
    as_floats.load_state_dict(as_bytes.state_dict())
    image = torch.randint(0, 256, (2, 36, 36, 1), dtype=torch.uint8)
    torch.testing.assert_close(as_bytes(image), as_floats(image / 255))


def test_nature_cnn_has_the_papers_layers():
    encoder = build_encoder(NatureCnn(), image_space(84, 84, 4))
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [
        (c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in convolutions
    ] == [
        (4, 32, 8, 4),
        (32, 64, 4, 2),
        (64, 64, 3, 1),
    ]
    assert encoder.num_features == 3136
    assert encoder(torch.zeros(2, 84, 84, 4, dtype=torch.uint8)).shape == (2, 3136)


def frames(layout, side):
    """Five frames each of two stacks of four, in memory as replays and environments have them."""
    block = torch.randint(0, 256, (2, 5, side, side), dtype=torch.uint8)
    shifted = torch.zeros(block.numel() + 1, dtype=torch.uint8)[1:].view_as(block).copy_(block)
    views = {
        "whole": block[:, :4].contiguous(),
        "newest of a block": block[:, 1:],
        "at an odd address": shifted[:, :4],
        "channels last": block[:, :4].contiguous(memory_format=torch.channels_last),
    }
    return views[layout]


@pytest.mark.parametrize(
    "layout", ["whole", "newest of a block", "at an odd address", "channels last"]
)
@pytest.mark.parametrize("side", [84, 86])
@pytest.mark.parametrize("is_learning", [True, False])
@pytest.mark.parametrize("has_amx", [True, False])
def test_bytes_in_bfloat16_have_the_features_and_gradients_of_float32(
    layout, side, is_learning, has_amx, monkeypatch
):
    monkeypatch.setattr(module, "_HAS_AMX", has_amx)
    encoder = build_encoder(NatureCnn(), image_space(4, side, side))
    observation = frames(layout, side)
    before = observation.clone()
    full = encoder(observation)
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(is_learning):
        features = encoder(observation)
    assert features.dtype is torch.bfloat16
    assert torch.equal(observation, before)
    torch.testing.assert_close(features.float(), full, rtol=0.05, atol=0.02 * full.max().item())
    if not is_learning:
        return
    weights = list(encoder.parameters())
    slope = torch.rand_like(full)
    expected = torch.autograd.grad(full, weights, slope)
    gradients = torch.autograd.grad(features, weights, slope.bfloat16())
    for mine, other in zip(gradients, expected, strict=True):
        assert mine.dtype is torch.float32
        assert torch.cosine_similarity(mine.flatten(), other.flatten(), dim=0) > 0.99


def test_impala_resnet_has_fifteen_convolutions_and_halves_three_times():
    encoder = build_encoder(ImpalaResNet(), image_space(84, 84, 4))
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 15
    assert encoder.num_features == 32 * 11 * 11
    assert encoder(torch.zeros(2, 84, 84, 4, dtype=torch.uint8)).shape == (2, 3872)


def test_impala_resnet_takes_the_smallest_image():
    encoder = build_encoder(ImpalaResNet(channels=(4, 4)), image_space(1, 1, 3))
    assert encoder(torch.zeros(2, 1, 1, 3, dtype=torch.uint8)).shape == (2, encoder.num_features)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((84, 84, 4), 4),
        ((4, 84, 84), 4),
        ((210, 160, 3), 3),
        ((3, 210, 160), 3),
        ((1, 84, 84), 1),
        ((40, 40, 100), 100),
        ((100, 40, 40), 100),
        ((84, 84), 1),
        ((4, 96, 96, 3), 12),
        ((4, 3, 96, 96), 12),
    ],
)
def test_channel_axis_is_found(shape, channels):
    encoder = build_encoder(NatureCnn(), image_space(*shape))
    first = next(layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == channels
    assert encoder(torch.zeros(2, *shape, dtype=torch.uint8)).shape == (2, encoder.num_features)


def test_both_layouts_of_one_image_have_the_same_features():
    last = build_encoder(NatureCnn(), image_space(40, 40, 3))
    first = build_encoder(NatureCnn(), image_space(3, 40, 40))
    first.load_state_dict(last.state_dict())
    image = torch.randint(0, 256, (2, 40, 40, 3), dtype=torch.uint8)
    torch.testing.assert_close(last(image), first(image.permute(0, 3, 1, 2)))


def test_stack_of_colour_images_is_their_channels_in_order():
    stacked = build_encoder(NatureCnn(), image_space(2, 40, 40, 3))
    joined = build_encoder(NatureCnn(), image_space(6, 40, 40))
    stacked.load_state_dict(joined.state_dict())
    images = torch.randint(0, 256, (2, 2, 40, 40, 3), dtype=torch.uint8)
    channels = torch.cat([images[:, 0], images[:, 1]], dim=-1).permute(0, 3, 1, 2)
    torch.testing.assert_close(stacked(images), joined(channels))


def test_auto_encodes_vectors_by_an_mlp_and_images_by_the_nature_cnn():
    assert build_encoder(AutoEncoder(hidden_sizes=(7,)), spaces.Box(-1, 1, (4,))).num_features == 7
    assert build_encoder(AutoEncoder(), image_space(84, 84, 4)).num_features == 3136


def test_too_small_image_is_refused_with_the_smallest_size_and_the_ways_out():
    with pytest.raises(ConfigError, match=r"36 x 36.*35 x 84.*impala-resnet.*mlp"):
        build_encoder(AutoEncoder(), image_space(35, 84, 3))


def test_smallest_image_of_the_nature_cnn_has_one_position():
    assert build_encoder(NatureCnn(), image_space(36, 36, 3)).num_features == 64


@pytest.mark.parametrize("config", [NatureCnn(), ImpalaResNet()])
def test_convolutions_without_an_image_are_refused(config):
    with pytest.raises(ConfigError, match=rf"'{config.kind}' needs an image.*encoder=mlp"):
        build_encoder(config, spaces.Box(-1, 1, (4,)))


def test_discrete_observation_is_one_hot():
    encoder = build_encoder(PLAIN, spaces.Discrete(3))
    assert encoder(torch.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_discrete_observation_counts_from_its_start():
    encoder = build_encoder(PLAIN, spaces.Discrete(3, start=-1))
    assert encoder(torch.tensor([-1, 1])).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_multi_discrete_observation_is_one_hot_for_each_part():
    encoder = build_encoder(PLAIN, spaces.MultiDiscrete([2, 3], start=[0, 5]))
    assert encoder(torch.tensor([[1, 5], [0, 7]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


def test_multi_discrete_grid_is_flattened():
    encoder = build_encoder(PLAIN, spaces.MultiDiscrete([[2, 2], [2, 2]]))
    assert encoder(torch.tensor([[[0, 1], [1, 0]]])).tolist() == [[1, 0, 0, 1, 0, 1, 1, 0]]


def test_multi_binary_observation_is_its_bits():
    encoder = build_encoder(PLAIN, spaces.MultiBinary(3))
    assert encoder(torch.tensor([[1, 0, 1]], dtype=torch.int8)).tolist() == [[1.0, 0.0, 1.0]]


def test_nested_observation_has_one_encoder_for_each_leaf():
    space = spaces.Dict(
        {
            "camera": image_space(40, 40, 3),
            "inner.part": spaces.Tuple((spaces.Discrete(4), spaces.Box(-1, 1, (2,)))),
        }
    )
    encoder = build_encoder(AutoEncoder(hidden_sizes=(6,)), space)
    observation = {
        "camera": torch.randint(0, 256, (5, 40, 40, 3), dtype=torch.uint8),
        "inner.part": (torch.randint(0, 4, (5,)), torch.randn(5, 2)),
    }
    camera = build_encoder(NatureCnn(), space["camera"])
    assert encoder.num_features == camera.num_features + 6 + 6
    assert encoder(observation).shape == (5, encoder.num_features)


def test_leaf_changes_only_its_own_features():
    space = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Box(-1, 1, (3,))})
    encoder = build_encoder(AutoEncoder(hidden_sizes=(4,)), space)
    observation = {"a": torch.randn(64, 2), "b": torch.randn(64, 3)}
    moved = {"a": observation["a"], "b": torch.randn(64, 3)}
    assert torch.equal(encoder(observation)[:, :4], encoder(moved)[:, :4])
    assert not torch.equal(encoder(observation)[:, 4:], encoder(moved)[:, 4:])


def test_vectors_beside_an_image_have_an_mlp():
    space = spaces.Dict({"camera": image_space(40, 40, 3), "speed": spaces.Box(-1, 1, (2,))})
    encoder = build_encoder(ImpalaResNet(channels=(4,)), space)
    assert encoder.num_features == 4 * 20 * 20 + 256


def test_space_without_arrays_is_refused():
    with pytest.raises(IncompatibleError, match=r"No encoder for observations in Text.*Wrap"):
        build_encoder(AutoEncoder(), spaces.Text(5))


def test_observation_of_another_size_is_an_error_not_a_larger_batch():
    encoder = build_encoder(MlpEncoder(), spaces.Box(-1, 1, (4,)))
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        encoder(torch.zeros(2, 8))


def test_spaces_of_real_environments_are_encoded():
    environments = gymnasium.make("CartPole-v1"), gymnasium.make("FrozenLake-v1")
    for environment in environments:
        observation, _ = environment.reset(seed=0)
        encoder = build_encoder(AutoEncoder(), environment.observation_space)
        assert encoder(torch.as_tensor(np.asarray([observation]))).shape == (1, 256)


def test_weights_depend_on_torchs_generator_alone():
    def build():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return build_encoder(AutoEncoder(), image_space(40, 40, 3)).state_dict()

    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first, second = build(), build()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)
