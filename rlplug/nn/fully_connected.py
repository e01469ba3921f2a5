"""Fully connected layers with their backward pass written out.

For networks of the usual size, what autograd does beside the products takes as long as these: an
update of an MLP 64-64 at batch 64 takes half the time without it, one of 256-256 seven tenths
(docs/decisions/0033). What is computed here is what autograd would compute: tests compare the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from torch import nn

from rlplug.nn.linear import (
    Linear,
    gradient_of_inputs,
    gradient_of_weight,
    linear,
    linear_relu,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


class FullyConnected:
    """Linear layers, each with a ReLU behind it or without, that live elsewhere in a network.

        with torch.inference_mode():
            outputs = layers.forward(features)
            layers.backward(slope_of_the_loss_at(outputs), gradients)

    Args:
        layers: Each linear layer, and whether a ReLU follows it; none behind the last.
    """

    def __init__(self, layers: Sequence[tuple[Linear, bool]]) -> None:
        self._layers = list(layers)
        self._inputs: list[Tensor] = []
        """Of each layer in the last `forward`."""

    @classmethod
    def of(cls, modules: Iterable[nn.Module]) -> Self | None:
        """The layers of modules in their order.

        None where one is neither linear nor a ReLU, or where the last is no linear one.
        """
        layers: list[tuple[Linear, bool]] = []
        for module in modules:
            if type(module) is Linear:
                layers.append((module, False))
            elif type(module) is nn.ReLU and layers and not layers[-1][1]:
                layers[-1] = (layers[-1][0], True)
            else:
                return None
        return cls(layers) if layers and not layers[-1][1] else None

    @property
    def parameters(self) -> list[Tensor]:
        """Weight and bias of each layer."""
        return [each for layer, _ in self._layers for each in (layer.weight, layer.bias)]

    def __call__(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, outputs]`; call it without gradients. Keeps nothing."""
        for layer, has_relu in self._layers:
            product = linear_relu if has_relu else linear
            features = product(features, layer.weight, layer.bias)
        return features

    def forward(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, outputs]`; keeps what `backward` needs."""
        self._inputs = []
        for layer, has_relu in self._layers:
            self._inputs.append(features)
            product = linear_relu if has_relu else linear
            features = product(features, layer.weight, layer.bias)
        return features

    def backward(self, slope: Tensor, gradients: Sequence[Tensor]) -> None:
        """From the loss's slope at the outputs of the last `forward` to the gradients.

        Args:
            slope: `[B, outputs]` ∂L/∂y.
            gradients: As `parameters`; they are overwritten.
        """
        for at in range(len(self._layers) - 1, -1, -1):
            inputs = self._inputs[at]
            gradient_of_weight(slope, inputs, out=gradients[2 * at])
            torch.sum(slope, 0, out=gradients[2 * at + 1])
            if at:
                slope = gradient_of_inputs(slope, self._layers[at][0].weight)
                if self._layers[at - 1][1]:
                    slope = torch.ops.aten.threshold_backward(slope, inputs, 0)
        self._inputs = []
