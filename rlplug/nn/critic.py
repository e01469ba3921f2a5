"""Networks that value actions: observations (and actions) in, C estimates out."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from rlplug.nn.ensemble import EnsembleMlp
from rlplug.nn.linear import Linear
from rlplug.nn.precision import Float32Output, Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from rlplug.data import Tree
    from rlplug.nn.config import PrecisionName
    from rlplug.nn.encoders import Encoder


class ActionCritic(nn.Module):
    """C estimates of Q(x, a) for continuous actions.

    The members share the encoder and nothing else: where it passes vectors through, they are C
    separate networks.

    Args:
        encoder: Of the observation.
        num_actions: Numbers in an action.
        hidden_sizes: Layers of each member, over features and action together.
        num_members: C.
        precision: Of all layers but the last.
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        encoder: Encoder,
        num_actions: int,
        hidden_sizes: tuple[int, ...],
        num_members: int,
        precision: PrecisionName = "float32",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        sizes = (encoder.num_features + num_actions, *hidden_sizes, 1)
        self.members = EnsembleMlp(num_members, sizes)
        self.precision = Precision(precision, encoder)

    def forward(self, observation: Tree, action: Tensor, *, members: int | None = None) -> Tensor:
        """`[B, *obs]` and `[B, D]` -> `[C, B]`; of the first `members` alone if that is given."""
        with self.precision(self):
            x = torch.cat((self.encoder(observation), action), dim=1)
            return self.members(x, members=members).squeeze(2)


class DiscreteCritic(nn.Module):
    """C estimates of Q(x, ·) for A discrete actions; the members share the encoder alone.

    Args:
        encoder: Of the observation.
        num_actions: A.
        hidden_sizes: Layers of each member, over the features.
        num_members: C.
        precision: Of all layers but the last.
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        encoder: Encoder,
        num_actions: int,
        hidden_sizes: tuple[int, ...],
        num_members: int,
        precision: PrecisionName = "float32",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.members = EnsembleMlp(num_members, (encoder.num_features, *hidden_sizes, num_actions))
        self.precision = Precision(precision, encoder)

    def forward(self, observation: Tree) -> Tensor:
        """`[B, *obs]` -> `[C, B, A]`."""
        with self.precision(self):
            return self.members(self.encoder(observation))


def mlp(sizes: tuple[int, ...]) -> nn.Sequential:
    """Fully connected layers with ReLU between them: inputs, hidden units, outputs."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return Float32Output(*layers[:-1])


@contextmanager
def frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Inside, gradients flow through a network and not into these weights of it.

    An actor's loss needs the slope of its critic and none of the gradients of its critic's
    weights, which would be a third of the products in the backward pass.
    """
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad = True
