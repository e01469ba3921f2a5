"""Many parameters as one vector: what costs a call for each of them costs one call for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class FlatParameters:
    """A vector that the parameters are views of, and the vector of their gradients.

        flat = FlatParameters(parameters)
        loss.backward()
        flat.gather_gradients()
        flat.vector  # with its `grad`: for a norm, an optimizer step, a target update

    Names, shapes and values of the parameters stay; a step on the vector is a step on each.

    Args:
        parameters: Of one dtype and device, and dense.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.vector = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in self.parameters]))
        self.vector.grad = torch.zeros_like(self.vector)
        for parameter, view in zip(self.parameters, self.split(self.vector.detach()), strict=True):
            parameter.data = view

    def split(self, vector: Tensor) -> list[Tensor]:
        """`[N]` -> views in the parameters' shapes."""
        parts = vector.split_with_sizes([parameter.numel() for parameter in self.parameters])
        return [part.view(p.shape) for part, p in zip(parts, self.parameters, strict=True)]

    def gather_gradients(self) -> Tensor:
        """All gradients in the vector's own; a parameter without one gets zeros."""
        gradients = [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).reshape(-1)
            for parameter in self.parameters
        ]
        gathered = self.vector.grad
        assert gathered is not None
        return torch.cat(gradients, out=gathered)
