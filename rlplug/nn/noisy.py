"""Noisy linear layers: exploration that the network learns to scale.

Paper: Fortunato et al. 2018, arXiv:1706.10295. y = (μʷ + σʷ ⊙ εʷ) x + μᵇ + σᵇ ⊙ εᵇ   (eq. 9)

Noise is per sample: every row of a batch has its own εʷ, where sharing one draw over a batch would
correlate all of its targets. Factorised noise εʷ = f(ε_out) f(ε_in)ᵀ (eq. 10) never exists as a
matrix: (σʷ ⊙ εʷ) x is f(ε_out) ⊙ σʷ (f(ε_in) ⊙ x), so B draws cost one more matrix product.

Noise is neither a weight nor state: it is drawn by `resample`, from the generator given, for the
calls that follow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from rlplug.errors import ShapeError
from rlplug.nn.initializers import fan_in_uniform
from rlplug.nn.linear import linear

if TYPE_CHECKING:
    from torch import Generator, Tensor

Kind = Literal["factorised", "independent"]


class NoisyLinear(nn.Module):
    """A linear layer whose weights are drawn anew for each sample; starts without noise."""

    def __init__(
        self, inputs: int, outputs: int, kind: Kind, initial_sigma: float | None = None
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        self.kind = kind
        # Section 3.2: μ in ±1/√p and σ = 0.5/√p factorised, ±√(3/p) and 0.017 independent.
        if kind == "factorised":
            gain, sigma = 1.0, (initial_sigma or 0.5) / math.sqrt(inputs)
        else:
            gain, sigma = math.sqrt(3), initial_sigma or 0.017
        self.weight_mean = nn.Parameter(fan_in_uniform(outputs, inputs, inputs=inputs, gain=gain))
        self.bias_mean = nn.Parameter(fan_in_uniform(outputs, inputs=inputs, gain=gain))
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), sigma))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), sigma))
        self.draws = (inputs if kind == "factorised" else outputs * inputs, outputs)
        """How many the two parts of the noise of one sample take."""
        self._noise: tuple[Tensor, Tensor] | None = None
        """Factorised: f(ε_in) `[rows, inputs]`, f(ε_out) `[rows, outputs]`. Independent:
        εʷ `[rows, outputs, inputs]`, εᵇ `[rows, outputs]`."""

    def resample(self, rows: int, generator: Generator | None = None) -> None:
        """Draw noise for `rows` samples; with one row, a whole batch shares it.

        The generator must be on the layer's device.
        """
        resample_noise(self, rows, generator)

    def use_noise(self, first: Tensor, second: Tensor) -> None:
        """Take `[rows, draws]` of both parts, as `resample_noise` drew them."""
        if self.kind == "independent":
            first = first.view(len(first), self.outputs, self.inputs)
        self._noise = first, second

    def remove_noise(self) -> None:
        """Use the mean weights until the next `resample`."""
        self._noise = None

    def forward(self, features: Tensor) -> Tensor:
        """`[B, ..., inputs]` -> `[B, ..., outputs]`; axes between share their sample's noise."""
        mean = linear(features, self.weight_mean, self.bias_mean)
        if self._noise is None:
            return mean
        first, second = self._noise
        if len(second) not in {1, len(features)}:
            raise ShapeError(
                f"NoisyLinear: noise was drawn for {len(second)} samples and the batch has "
                f"{len(features)}; call resample({len(features)}, generator) before."
            )
        second = _spread(second, features)
        if self.kind == "factorised":
            perturbed = features * _spread(first, features)
            return mean + linear(perturbed, self.weight_sigma, self.bias_sigma) * second
        columns = features.reshape(len(features), -1, self.inputs)  # [B, S, inputs]
        weights = (self.weight_sigma * first).transpose(1, 2)  # [rows, inputs, outputs]
        return mean + (columns @ weights).reshape(mean.shape) + self.bias_sigma * second


def _spread(noise: Tensor, features: Tensor) -> Tensor:
    """`[rows, X]` -> `[rows, 1, ..., X]` with as many axes as the features."""
    return noise.reshape(len(noise), *[1] * (features.ndim - 2), noise.shape[1])


def resample_noise(module: nn.Module, rows: int, generator: Generator | None = None) -> None:
    """Draw noise for `rows` samples in every noisy layer of a network; none is no error.

    All layers of a kind draw together: half the time for the few rows of acting, a seventh less
    for a minibatch.
    """
    every_layer = [layer for layer in module.modules() if isinstance(layer, NoisyLinear)]
    for kind in get_args(Kind):
        layers = [layer for layer in every_layer if layer.kind == kind]
        if not layers:
            continue
        draws = [number for layer in layers for number in layer.draws]
        device = layers[0].bias_mean.device
        noise = torch.randn(rows, sum(draws), generator=generator, device=device)
        if kind == "factorised":
            noise = noise.abs().sqrt_().copysign_(noise)  # f(x) = sgn(x) √|x|
        parts = noise.split_with_sizes(draws, dim=1)
        for layer, first, second in zip(layers, parts[::2], parts[1::2], strict=True):
            layer.use_noise(first, second)


def remove_noise(module: nn.Module) -> None:
    """Use mean weights in every noisy layer of a network."""
    for layer in module.modules():
        if isinstance(layer, NoisyLinear):
            layer.remove_noise()
