"""Several MLPs of one shape, computed together: the critics of SAC, TD3 and their kin."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from rlplug.nn.initializers import fan_in_uniform
from rlplug.nn.linear import ensemble_linear
from rlplug.nn.precision import in_float32, widened

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class EnsembleMlp(nn.Module):
    """C independent MLPs with ReLU between their layers, as one batched product per layer.

    Stacked weights halve the number of operations, optimizer tensors and target updates of twin
    critics. Weights are stored as `[C, inputs, outputs]`, the transpose of a Linear's, and start as
    C Linears would.

    Args:
        num_members: C.
        sizes: Inputs, hidden units of each layer, outputs.
    """

    __call__: Callable[..., Tensor]

    def __init__(self, num_members: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        shapes = [(num_members, inputs, outputs) for inputs, outputs in pairwise(sizes)]
        self.weights = nn.ParameterList(fan_in_uniform(*shape, inputs=shape[1]) for shape in shapes)
        self.biases = nn.ParameterList(
            fan_in_uniform(members, 1, outputs, inputs=inputs)
            for members, inputs, outputs in shapes
        )

    def forward(self, x: Tensor, *, members: int | None = None) -> Tensor:
        """`[B, inputs]` -> `[C, B, outputs]`; of the first `members` alone where that is given."""
        *hidden, (last_weight, last_bias) = self._layers(members)
        x = x.expand(len(last_weight), *x.shape)  # [B, D] -> [C, B, D], not written out
        for weight, bias in hidden:
            x = torch.relu_(ensemble_linear(x, weight, bias))
        if last_weight.shape[2] == 1:
            # a product with one column: MKL takes 90 µs for what a sum does in 16
            return (widened(x) * last_weight.mT).sum(2, keepdim=True) + last_bias
        with in_float32(x):
            return ensemble_linear(widened(x), last_weight, last_bias)

    def _layers(self, members: int | None) -> list[tuple[Tensor, Tensor]]:
        layers = list(zip(self.weights, self.biases, strict=True))
        if members is None:
            return layers  # the gradient of a slice, even of all, is a copy
        return [(weight[:members], bias[:members]) for weight, bias in layers]
