"""Fewer bits for the products that take the time, and float32 for everything else.

Weights, optimizer, last layers and losses stay float32; encoders and hidden layers multiply in
bfloat16 where that is asked for (torch's autocast), learning and acting alike, but where a policy
that learns from a replay acts for a few environments. A product of bfloat16 keeps 8 bits of each
number: enough for features, too few for an estimate whose differences decide (two action values of
100 and 100.2 would be one), which is why last layers are left out.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor

    from rlplug.nn.config import PrecisionName

_FLOAT32: AbstractContextManager[Any] = contextlib.nullcontext()

_ENOUGH_ROWS = 16


class Precision:
    """Within `with precision(network):`, the network's products have this precision.

    Args:
        name: `auto` takes bfloat16 for networks with convolutions where the processor multiplies
            it by itself, and float32 otherwise.
        layers: What the choice of `auto` depends on.
    """

    def __init__(self, name: PrecisionName, layers: nn.Module) -> None:
        self.name = name
        self._has_convolutions = any(isinstance(part, nn.Conv2d) for part in layers.modules())
        self._has_bfloat16: bool | None = None

    def settle(self, device: str) -> None:
        """Look once and for all whether the device has bfloat16: no compiler can look."""
        self._has_bfloat16 = has_bfloat16(device)

    @property
    def hidden_dtype(self) -> torch.dtype:
        """Of the products of layers on a vector that are no convolutions, but for the last."""
        return torch.bfloat16 if self.name == "bfloat16" else torch.float32

    def __call__(
        self, network: nn.Module, *, rows: int = _ENOUGH_ROWS
    ) -> AbstractContextManager[Any]:
        """A region of this precision, for the device that the network is on.

        Args:
            network: Whose products they are.
            rows: Of the minibatch, where learning does not rely on how it was acted: for a few,
                casting the weights takes a CPU longer than the products.
        """
        if self.name == "float32" or (self.name == "auto" and not self._has_convolutions):
            return _FLOAT32
        device = next(network.parameters()).device.type
        if device == "cpu" and rows < _ENOUGH_ROWS:
            return _FLOAT32
        if self.name == "auto":
            known = self._has_bfloat16
            if not (has_bfloat16(device) if known is None else known):
                return _FLOAT32
        return torch.autocast(device, torch.bfloat16)


def has_bfloat16(device: str) -> bool:
    """Whether a device (`cpu`, `cuda`) multiplies bfloat16 by itself; others only imitate it."""
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def image_dtype(device: str) -> torch.dtype:
    """What images are cast to: bytes are exact in either format, and half as many are moved."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


class Float32Output(nn.Sequential):
    """Layers of which the last is in float32, inside a region of fewer bits too."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self._casts: dict[nn.Module, _Cast] = {}

    def forward(self, features: Tensor) -> Tensor:
        """`[..., inputs]` -> `[..., outputs]` float32."""
        *hidden, output = self
        device = features.device.type
        is_cast = bool(self._casts) and device == "cpu" and torch.is_autocast_enabled(device)
        for layer in hidden:
            if is_cast and layer in self._casts:
                features = self._casts[layer](features)
            else:
                features = layer(features)
        with in_float32(features):
            result: Tensor = output(widened(features))
            return result

    def keep_casts(self) -> None:
        """As the function of that name."""
        *hidden, _ = self
        self._casts = {layer: _Cast(layer) for layer in hidden if isinstance(layer, nn.Linear)}


def keep_casts(network: nn.Module) -> None:
    """Cast the weights of hidden layers once for as long as they stay the same.

    A cast takes a CPU longer than the product of a small minibatch. For a target network: what
    learns changes with each update, and where its weights are views of one vector
    (`FlatParameters`), they do not tell that they have changed.
    """
    for part in network.modules():
        if isinstance(part, Float32Output):
            part.keep_casts()


class _Cast:
    """A linear layer in bfloat16, with the weights that the layer has now."""

    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer
        self._version = -1
        self._weight = torch.empty(0)

    def __call__(self, features: Tensor) -> Tensor:
        weight = self._layer.weight
        if weight._version != self._version:
            self._version, self._weight = weight._version, weight.to(torch.bfloat16)
        return F.linear(features, self._weight, self._layer.bias)


def widened(features: Tensor) -> Tensor:
    """bfloat16 as float32; anything else as it is."""
    return features.float() if features.dtype is torch.bfloat16 else features


def in_float32(like: Tensor) -> AbstractContextManager[Any]:
    """A region of float32 on the device of `like`, which is free where it is so already."""
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        return _FLOAT32
    return torch.autocast(device, enabled=False)
