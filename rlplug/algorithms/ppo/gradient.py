"""From a minibatch to one step of the optimizer: by autograd, or with its gradient written out.

Both ways compute the same; which one is taken follows from network and losses. Vectors under fully
connected towers and discrete actions, the commonest case, have their backward pass written out,
because there autograd's own work takes as long as the products.

    metrics = gradient.descend(minibatch, coefficients)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from rlplug.nn.distributions import Categorical
from rlplug.nn.linear import (
    ensemble_gradient_of_inputs,
    ensemble_gradient_of_weight,
    gradient_of_weight,
)

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.ppo.experience import Minibatch
    from rlplug.algorithms.ppo.losses import Coefficients, Losses
    from rlplug.algorithms.ppo.network import ActorCritic
    from rlplug.nn.optimizer import Optimizer


class Gradient(Protocol):
    """How an update differentiates."""

    def descend(self, batch: Minibatch, now: Coefficients) -> dict[str, Tensor]:
        """One optimizer step on `[B]` transitions.

        Returns:
            The losses `[]` and what they say of themselves, by name.
        """
        ...


def build_gradient(
    network: ActorCritic, losses: Losses, optimizer: Optimizer, *, is_compiled: bool = False
) -> Gradient:
    """Written out where network and losses allow it, and where all of the network learns.

    A network that is compiled is called, by autograd.
    """
    actions = network.actions
    if (
        not is_compiled
        and network.is_towers_alone
        and isinstance(actions.build(torch.zeros(1, actions.num_parameters)), Categorical)
        and losses.has_slopes
        and all(parameter.requires_grad for parameter in network.parameters())
    ):
        return WrittenOut(network, losses, optimizer)
    return ByAutograd(network, losses, optimizer)


class ByAutograd:
    """For networks and losses of any kind."""

    def __init__(self, network: ActorCritic, losses: Losses, optimizer: Optimizer) -> None:
        self._network = network
        self._losses = losses
        self._optimizer = optimizer

    def descend(self, batch: Minibatch, now: Coefficients) -> dict[str, Tensor]:
        """As `Gradient`."""
        distribution, value = self._network(batch.rows.seen, batch.packing)
        loss, metrics = self._losses.total(distribution, value, batch.rows, now)
        self._optimizer.step(loss)
        return metrics


class WrittenOut:
    """For towers on a flat vector, a linear head on each, and discrete actions."""

    def __init__(self, network: ActorCritic, losses: Losses, optimizer: Optimizer) -> None:
        self._network = network
        self._losses = losses
        self._optimizer = optimizer
        self._heads = [head for head in (network.policy_head, network.value_head) if head]
        gradients = zip(network.parameters(), optimizer.gradients(), strict=True)
        self._gradient = {id(parameter): gradient for parameter, gradient in gradients}

    def descend(self, batch: Minibatch, now: Coefficients) -> dict[str, Tensor]:
        """As `Gradient`."""
        network, rows = self._network, batch.rows
        with torch.inference_mode():  # without the book-keeping that autograd needs
            layers = network.towers.layer_by_layer(network.flatten(rows.seen[0]))
            logits, *value = (
                torch.addmm(head.bias, features, head.weight.t())
                for head, features in zip(self._heads, layers[-1], strict=True)
            )
            slopes, metrics = self._losses.slopes(
                Categorical(logits), value[0].squeeze(1) if value else None, rows, now
            )
            at_heads = [slopes.logits]
            if slopes.value is not None:
                at_heads.append(slopes.value.unsqueeze(1))
            self._through_towers(self._through_heads(at_heads, layers[-1]), layers)
            self._optimizer.apply()
        return metrics

    def _through_heads(self, slopes: list[Tensor], features: Tensor) -> Tensor:
        """From the slopes `[B, P]` at each head's output to `[C, B, H]` at its inputs."""
        at_inputs = torch.empty_like(features)
        for tower, (head, slope) in enumerate(zip(self._heads, slopes, strict=True)):
            gradient_of_weight(slope, features[tower], out=self._gradient[id(head.weight)])
            torch.sum(slope, 0, out=self._gradient[id(head.bias)])
            torch.mm(slope, head.weight, out=at_inputs[tower])
        return at_inputs

    def _through_towers(self, slope: Tensor, layers: list[Tensor]) -> None:
        towers = self._network.towers
        for at in range(len(towers.weights) - 1, -1, -1):
            weight, bias = towers.weights[at], towers.biases[at]
            slope = towers.slope(slope, layers[at + 1])
            ensemble_gradient_of_weight(slope, layers[at], out=self._gradient[id(weight)])
            torch.sum(slope, 1, keepdim=True, out=self._gradient[id(bias)])
            if at:
                slope = ensemble_gradient_of_inputs(slope, weight)
