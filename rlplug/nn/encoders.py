"""From observations to features `[B, D]`: one encoder per leaf of the observation space.

Integers and bytes are cast to float32 here, on the network's device, and images of bytes are
scaled to [0, 1] here and nowhere else: what is stored and sent stays small. Inputs are never
changed in place.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never, cast

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from rlplug.errors import ConfigError, IncompatibleError, PluginError
from rlplug.nn.config import (
    AutoEncoder,
    ImpalaResNet,
    MlpEncoder,
    NatureCnn,
    RegisteredEncoder,
)
from rlplug.nn.linear import Linear
from rlplug.nn.precision import image_dtype
from rlplug.registry.networks import build_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from rlplug.data import Tree
    from rlplug.nn.config import EncoderConfig

    Space = gymnasium.Space[Any]

AnyBuiltIn: TypeAlias = AutoEncoder | MlpEncoder | NatureCnn | ImpalaResNet
_NATURE_SMALLEST = 36
"""Pixels per side that leave one position after 8/4, 4/2 and 3/1."""
_HAS_AMX = torch.cpu._is_amx_tile_supported()
"""Units that multiply tiles of bfloat16, and want matrices wide enough to fill them."""
_PATCH = 4
"""Pixels per side of a patch: four bytes in a row are one word, and move as one."""


class Encoder(nn.Module):
    """Anything that turns an observation (a tensor, or dicts and tuples of them) into features."""

    num_features: int
    """D of the features."""
    __call__: Callable[..., Tensor]
    """`[B, *obs]` -> `[B, D]` float32."""


def build_encoder(config: EncoderConfig, observation_space: Space) -> Encoder:
    """The encoder that `config` describes for this space.

    Dicts and tuples get one encoder per leaf, their features concatenated; leaves that are no
    images have an MLP beside a convolutional encoder. A registered encoder is given the whole
    space. Weights come from torch's global generator.

    Raises:
        ConfigError: a convolutional encoder without an image, or with one that is too small.
        IncompatibleError: a space that has no arrays, such as Text.
    """
    if isinstance(config, RegisteredEncoder):
        return _registered(config, observation_space)
    convolutional = isinstance(config, NatureCnn | ImpalaResNet)
    if convolutional and not any(_is_image(leaf) for leaf in _leaves(observation_space)):
        raise ConfigError(
            f"network.encoder {config.kind!r} needs an image, and there is none in "
            f"{observation_space}. Set network.encoder=mlp, or auto."
        )
    return _build(config, observation_space)


def _registered(config: RegisteredEncoder, space: Space) -> Encoder:
    """An encoder from a plugin, with what every network here relies on."""
    encoder = build_network(config.name, config.settings, space)
    if not isinstance(encoder, nn.Module) or not isinstance(
        getattr(encoder, "num_features", None), int
    ):
        raise PluginError(
            f"The network '{config.name}' is built as a {type(encoder).__name__}; expected a "
            "torch module with `num_features`, the D of its features [B, D]."
        )
    return cast("Encoder", encoder)


def _build(config: AnyBuiltIn, space: Space) -> Encoder:
    if isinstance(space, gymnasium.spaces.Dict):
        return TreeEncoder({key: _build(config, part) for key, part in space.items()})
    if isinstance(space, gymnasium.spaces.Tuple):
        return TreeEncoder({index: _build(config, part) for index, part in enumerate(space)})
    if isinstance(config, MlpEncoder) or not _is_image(space):
        sizes = config.hidden_sizes if isinstance(config, MlpEncoder | AutoEncoder) else (256,)
        return VectorEncoder(_flattener(space), sizes)
    image = ImageInput(space)
    match config:
        case AutoEncoder() | NatureCnn():
            return ImageEncoder(image, nature_layers(image))
        case ImpalaResNet():
            return ImageEncoder(image, impala_layers(image, config.channels))
    assert_never(config)


def _leaves(space: Space) -> Iterator[Space]:
    """The spaces without parts that `space` is made of."""
    if isinstance(space, gymnasium.spaces.Dict):
        parts: Any = space.values()
    elif isinstance(space, gymnasium.spaces.Tuple):
        parts = space
    else:
        yield space
        return
    for part in parts:
        yield from _leaves(part)


def _is_image(space: Space) -> bool:
    """Three axes; or, of bytes, two (one channel) or four (a stack of images with channels)."""
    if not isinstance(space, gymnasium.spaces.Box):
        return False
    return len(space.shape) == 3 or (len(space.shape) in {2, 4} and space.dtype == np.uint8)


class TreeEncoder(Encoder):
    """Encodes each part of a dict or tuple by its own encoder and concatenates the features."""

    def __init__(self, encoders: dict[Any, Encoder]) -> None:
        super().__init__()
        self.keys = tuple(encoders)
        self.encoders = nn.ModuleList(encoders.values())  # a ModuleDict would restrict the keys
        self.num_features = sum(part.num_features for part in encoders.values())

    def forward(self, observation: Tree) -> Tensor:
        """`[B, ...]` per leaf -> `[B, D]`."""
        parts = zip(self.keys, self.encoders, strict=True)
        return torch.cat([encoder(observation[key]) for key, encoder in parts], dim=1)


class FlattenBox(Encoder):
    """Any array as a vector of float32; bytes are scaled to [0, 1]."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        super().__init__()
        self.num_features = prod(space.shape)
        self.scale = 1 / 255 if space.dtype == np.uint8 else None

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, *obs]` -> `[B, D]`."""
        flat = observation.reshape(len(observation), self.num_features).to(torch.float32)
        return flat if self.scale is None else flat * self.scale


class OneHot(Encoder):
    """Integers, each as a vector with a single one."""

    shift: Tensor

    def __init__(self, counts: Any, start: Any) -> None:
        super().__init__()
        self.counts = [int(count) for count in np.ravel(counts)]
        self.num_features = sum(self.counts)
        first = torch.from_numpy(np.ravel(start).astype(np.int64))
        offset = torch.from_numpy(np.cumsum([0, *self.counts[:-1]]))
        self.register_buffer("shift", offset - first, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, ...]` int -> `[B, D]`."""
        rows = len(observation)
        position = observation.reshape(rows, len(self.counts)).long() + self.shift  # [B, counts]
        zeros = torch.zeros(rows, self.num_features, device=position.device)
        return zeros.scatter(1, position, 1.0)


def _flattener(space: Space) -> Encoder:
    """What turns one leaf into a vector."""
    match space:
        case gymnasium.spaces.Box():
            return FlattenBox(space)
        case gymnasium.spaces.Discrete():
            return OneHot(space.n, space.start)
        case gymnasium.spaces.MultiDiscrete():
            return OneHot(space.nvec, getattr(space, "start", np.zeros_like(space.nvec)))
        case gymnasium.spaces.MultiBinary():
            return FlattenBox(gymnasium.spaces.Box(0, 1, space.shape, np.int8))
    raise IncompatibleError(
        f"No encoder for observations in {space}; expected Box, Discrete, MultiDiscrete, "
        "MultiBinary, or a Dict or Tuple of them. Wrap the environment."
    )


class VectorEncoder(Encoder):
    """Fully connected layers with ReLU after each; without layers, the vector itself."""

    def __init__(self, flatten: Encoder, hidden_sizes: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (flatten.num_features, *hidden_sizes)
        layers: list[nn.Module] = [flatten]
        for inputs, outputs in pairwise(sizes):
            layers += [Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.num_features = sizes[-1]
        self._flatten = (flatten,)  # in a tuple, where torch does not take it for a second part

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, *obs]` -> `[B, D]`."""
        features: Tensor = self.layers(observation)
        return features

    def flatten(self, observation: Tensor) -> Tensor:
        """`[B, *obs]` -> the vector `[B, ...]` that the first layer takes."""
        flat: Tensor = self._flatten[0].forward(observation)
        return flat

    @property
    def after_flattening(self) -> list[nn.Module]:
        """The layers, in their order."""
        return list(self.layers)[1:]


class ImageInput(nn.Module):
    """Images as floats `[B, C, H, W]`, whatever their layout; bytes are scaled to [0, 1]."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        shape = space.shape or ()
        self.num_axes = len(shape)
        frame = (1, *shape) if self.num_axes == 2 else shape[-3:]
        self.channels_last = _channels_last(frame)
        channels, self.height, self.width = (
            (frame[2], frame[0], frame[1]) if self.channels_last else frame
        )
        self.channels = channels * prod(shape[:-3])
        self.scale = 1 / 255 if space.dtype == np.uint8 else None
        self.has_patches = (
            self.scale is not None
            and self.num_axes == 3
            and not self.channels_last
            and self.height % _PATCH == self.width % _PATCH == 0
        )

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, H, W]`, or `[B, H, W, C]` or `[B, C, H, W]`, also in stacks `[B, S, ...]`."""
        image = observation.to(image_dtype(observation.device.type))
        if self.num_axes == 2:
            image = image.unsqueeze(1)
        elif self.channels_last:
            image = image.movedim(-1, -3)
        if self.num_axes == 4:
            image = image.flatten(1, 2)  # [B, S, C, H, W] -> [B, S * C, H, W]
        # convolutions take a fifth less time on a CPU when the channels of a pixel lie together
        image = image.contiguous(memory_format=torch.channels_last)
        if self.scale is None:
            return image
        # what was cast from bytes is a copy, and ours to write to
        is_copy = observation.dtype is torch.uint8
        return image.mul_(self.scale) if is_copy else image * self.scale


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Whether an image is `[H, W, C]`: the sides that are equal tell, else the shortest axis."""
    first, middle, last = shape
    if (first == middle) != (middle == last):
        return first == middle
    return last < first


class ImageEncoder(Encoder):
    """Convolutions, flattened.

    In bfloat16 on a CPU with AMX, a first convolution whose steps are patches of 4 x 4 pixels is
    given whole patches, for the same products in another order. With a patch's bytes for channels
    they fill the tiles that AMX multiplies, and words are moved, not bytes.
    """

    def __init__(self, image: ImageInput, layers: nn.Sequential) -> None:
        super().__init__()
        *before, last = layers
        # flattened before the ReLU, whose backward pass is slow between two orders of axes
        self.layers = nn.Sequential(image, *before, nn.Flatten(), last)
        self._fits_patches = image.has_patches and _steps_by_patches(layers[0])
        with torch.no_grad():
            probe = layers(torch.zeros(1, image.channels, image.height, image.width))
        self.num_features = probe.numel()

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, *image]` -> `[B, D]`."""
        features = observation
        layers = list(self.layers)
        if self._fits_patches and _is_for_patches(observation):
            features = _convolve_patches(observation, cast("nn.Conv2d", layers[1]))
            layers = layers[2:]
        for layer in layers:
            features = layer(features)
        return features


def _steps_by_patches(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.stride == (_PATCH, _PATCH)
        and all(side % _PATCH == 0 for side in layer.kernel_size)
        and (layer.padding, layer.dilation, layer.groups) == ((0, 0), (1, 1), 1)
    )


def _is_for_patches(observation: Tensor) -> bool:
    """float32 keeps the order of its sums; other processors and GPUs were not measured."""
    return (
        _HAS_AMX
        and observation.dtype is torch.uint8
        and observation.device.type == "cpu"
        and image_dtype("cpu") is torch.bfloat16
    )


def _convolve_patches(observation: Tensor, layer: nn.Conv2d) -> Tensor:
    """`layer` of bytes `[B, C, H, W]` scaled to [0, 1]; the scale is put into the weights."""
    image = _patches(observation).to(torch.bfloat16).movedim(-1, 1)  # [B, 16 * C, H / 4, W / 4]
    outputs, channels, height, width = layer.weight.shape
    scaled = layer.weight * (1 / 255)
    apart = scaled.view(outputs, channels, height // _PATCH, _PATCH, width // _PATCH, _PATCH)
    weight = apart.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # [O, C * 4 * 4, height / 4, width / 4]
    return F.conv2d(image, weight, layer.bias)


def _patches(observation: Tensor) -> Tensor:
    """Bytes `[B, C, H, W]` -> `[B, H / 4, W / 4, C * 4 * 4]`, a copy."""
    *strides, along_row = observation.stride()
    starts = (observation.storage_offset(), *strides)
    if along_row != 1 or any(start % _PATCH for start in starts):
        observation = observation.clone(memory_format=torch.contiguous_format)
    words = observation.view(torch.int32)
    rows, channels, height, words_across = words.shape
    by_row = words.view(rows, channels, height // _PATCH, _PATCH * words_across).transpose(1, 2)
    # in two steps, of which the first moves long rows: half the time of one
    lines = by_row.reshape(rows, height // _PATCH, channels * _PATCH, words_across)
    patches: Tensor = lines.transpose(2, 3).contiguous().view(torch.uint8)
    return patches


def nature_layers(image: ImageInput) -> nn.Sequential:
    """Three convolutions (Mnih et al. 2015, Methods).

    Raises:
        ConfigError: an image below 36 x 36.
    """
    if min(image.height, image.width) < _NATURE_SMALLEST:
        raise ConfigError(
            f"The Nature CNN needs images of at least {_NATURE_SMALLEST} x {_NATURE_SMALLEST} "
            f"pixels, got {image.height} x {image.width}. Set network.encoder=impala-resnet, "
            "which takes any size, or mlp."
        )
    return nn.Sequential(
        nn.Conv2d(image.channels, 32, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=1),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """`x + conv(relu(conv(relu(x))))`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, C, H, W]`."""
        inner: Tensor = self.second(F.relu(self.first(F.relu(image))))
        return image + inner


def impala_layers(image: ImageInput, channels: tuple[int, ...]) -> nn.Sequential:
    """One stage per entry of `channels`, each halving the sides (figure 3, arXiv:1802.01561)."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip((image.channels, *channels), channels, strict=False):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            ResidualBlock(outputs),
            ResidualBlock(outputs),
        ]
    return nn.Sequential(*layers, nn.ReLU())
