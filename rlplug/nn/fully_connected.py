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
    ensemble_gradient_of_inputs,
    ensemble_gradient_of_weight,
    ensemble_linear,
    gradient_of_inputs,
    gradient_of_weight,
    linear,
    linear_relu,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from rlplug.nn.ensemble import EnsembleMlp


class FullyConnected:
    """Linear layers, each with a ReLU behind it or without, that live elsewhere in a network.

        with torch.inference_mode():
            outputs = layers.forward(features)
            layers.backward(slope_of_the_loss_at(outputs), gradients)

    Args:
        layers: Each linear layer, and whether a ReLU follows it; none behind the last.
        hidden_dtype: Of the products of all layers but the last, which is float32.
    """

    def __init__(
        self, layers: Sequence[tuple[Linear, bool]], hidden_dtype: torch.dtype = torch.float32
    ) -> None:
        self._layers = list(layers)
        self._dtypes = [*[hidden_dtype] * (len(layers) - 1), torch.float32]
        self._inputs: list[Tensor] = []
        """Of each layer in the last `forward`."""

    @classmethod
    def of(
        cls, modules: Iterable[nn.Module], hidden_dtype: torch.dtype = torch.float32
    ) -> Self | None:
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
        return cls(layers, hidden_dtype) if layers and not layers[-1][1] else None

    @property
    def parameters(self) -> list[Tensor]:
        """Weight and bias of each layer."""
        return [each for layer, _ in self._layers for each in (layer.weight, layer.bias)]

    def __call__(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, outputs]`; call it without gradients. Keeps nothing."""
        outputs = self.forward(features)
        self._inputs = []
        return outputs

    def forward(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, outputs]`; keeps what `backward` needs."""
        self._inputs = []
        for (layer, has_relu), dtype in zip(self._layers, self._dtypes, strict=True):
            features = _cast(features, dtype)
            self._inputs.append(features)
            product = linear_relu if has_relu else linear
            features = product(features, _cast(layer.weight, dtype), _cast(layer.bias, dtype))
        return features

    def backward(self, slope: Tensor, gradients: Sequence[Tensor]) -> None:
        """From the loss's slope at the outputs of the last `forward` to the gradients.

        Args:
            slope: `[b, outputs]` ∂L/∂y of the last b rows of it: the loss knows no others.
            gradients: As `parameters`; they are overwritten.
        """
        first = len(self._inputs[0]) - len(slope)
        for at in range(len(self._layers) - 1, -1, -1):
            inputs, dtype = self._inputs[at], self._dtypes[at]
            if first:
                inputs = inputs[first:]
            slope = _cast(slope, dtype)
            gradient_of_weight(slope, inputs, out=gradients[2 * at])
            _sum_rows(slope, gradients[2 * at + 1])
            if at:
                slope = gradient_of_inputs(slope, _cast(self._layers[at][0].weight, dtype))
                if self._layers[at - 1][1]:
                    _before_relu_(slope, inputs)
        self._inputs = []


class FullyConnectedEnsemble:
    """The members of an `EnsembleMlp` with one output each, the same way.

        with torch.inference_mode():
            outputs = members.forward(features)                       # [C, B]
            members.backward(slope_of_the_loss_at(outputs), gradients)

    Args:
        mlp: Whose weights they are.
        hidden_dtype: Of the products of all layers but the last, which is float32.
    """

    def __init__(self, mlp: EnsembleMlp, hidden_dtype: torch.dtype = torch.float32) -> None:
        self._weights: list[Tensor] = list(mlp.weights)
        self._biases: list[Tensor] = list(mlp.biases)
        self._last = len(self._weights) - 1
        self._dtype = hidden_dtype
        self._operands: list[Tensor] = []
        """The weights in their dtypes, at the last `forward`."""
        self._inputs: list[Tensor] = []
        """Of each layer in the last `forward`: `[C, B, inputs]`."""

    @property
    def parameters(self) -> list[Tensor]:
        """The weights of all layers, then the biases."""
        return [*self._weights, *self._biases]

    def forward(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[C, B]`; keeps what the slopes need."""
        *hidden, last_weight = self._weights
        self._operands = [*(_cast(weight, self._dtype) for weight in hidden), last_weight]
        x = _cast(features, self._dtype).expand(len(last_weight), *features.shape)
        self._inputs = []
        for weight, bias in zip(self._operands[:-1], self._biases[:-1], strict=True):
            self._inputs.append(x)
            x = ensemble_linear(x, weight, _cast(bias, self._dtype)).relu_()
        self._inputs.append(x)
        x = _cast(x, torch.float32)
        return (x * last_weight.mT).sum(2).add_(self._biases[-1].squeeze(2))

    def backward(self, slope: Tensor, gradients: Sequence[Tensor]) -> None:
        """From the loss's slope at the outputs of the last `forward` to the gradients.

        Args:
            slope: `[C, B]` ∂L/∂y.
            gradients: As `parameters`; they are overwritten.
        """
        weights, biases = gradients[: self._last + 1], gradients[self._last + 1 :]
        through = slope.unsqueeze(2)  # [C, B, outputs of the layer]
        _sum_rows(_cast(self._inputs[-1], torch.float32) * through, weights[-1].mT)
        _sum_rows(through, biases[-1])
        for at in range(self._last - 1, -1, -1):
            through = self._before(at + 1, through)
            ensemble_gradient_of_weight(through, self._inputs[at], out=weights[at])
            _sum_rows(through, biases[at])

    def slope_of_features(self, slope: Tensor, first: int) -> Tensor:
        """The loss's slope at the features `[B, first:]` of the last `forward`, which all share.

        Args:
            slope: `[C, B]` ∂L/∂y.
            first: The first feature that is asked for.
        """
        through = slope.unsqueeze(2)
        for at in range(self._last - 1, -1, -1):
            through = self._before(at + 1, through)
        weight = self._operands[0][:, first:]
        return _cast(ensemble_gradient_of_inputs(through, weight), torch.float32).sum(0)

    def _before(self, at: int, slope: Tensor) -> Tensor:
        """From the slope at the outputs of layer `at` to that before the ReLU ahead of it."""
        if at == self._last:  # one column, as in EnsembleMlp
            slope = _cast(slope * self._operands[at].mT, self._dtype)
        else:
            slope = ensemble_gradient_of_inputs(slope, self._operands[at])
        _before_relu_(slope, self._inputs[at])
        return slope


def _before_relu_(slope: Tensor, outputs: Tensor) -> None:
    """From the slope at the outputs of a ReLU to that at its inputs, in place."""
    torch.ops.aten.threshold_backward.grad_input(slope, outputs, 0, grad_input=slope)


def _sum_rows(slope: Tensor, out: Tensor) -> None:
    """Into `out`, over the rows `[..., B, outputs]`; bfloat16 is added up in float32 as it is."""
    if slope.dtype is out.dtype:
        torch.sum(slope, -2, keepdim=out.dim() == slope.dim(), out=out)
    else:  # to ask the sum for the wider dtype would widen all that it adds up
        out.copy_(slope.sum(-2, keepdim=out.dim() == slope.dim()))


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Free where it has that dtype already, which `to` is not."""
    return tensor if tensor.dtype is dtype else tensor.to(dtype)
