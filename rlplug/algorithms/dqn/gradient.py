"""From an estimate and its target to the gradient of the weights: by autograd, or written out.

Both ways compute the same; which one is taken follows from the network. Vectors, fully connected
layers and a scalar head, the commonest case, have their backward pass written out, because there
autograd's own work takes as long as the products. The layers are those that the network was built
with; what an update returns may be read and copied, and not be changed in place.

    with gradient.region():
        estimate = gradient.estimate(batch.observation)
        returns = ...  # without gradients
        loss, priority = gradient.compute(estimate, action, returns, importance_weight)
        optimizer.apply()
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import torch

from rlplug.algorithms.dqn.heads import Estimate, LossAndPriority, ScalarReturns
from rlplug.nn.encoders import VectorEncoder
from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor

    from rlplug.algorithms.dqn.network import QNetwork
    from rlplug.data import Tree
    from rlplug.nn.fully_connected import FullyConnected
    from rlplug.nn.optimizer import Optimizer


class Gradient(Protocol):
    """How an update differentiates."""

    def region(self) -> AbstractContextManager[object]:
        """What a whole update happens in."""
        ...

    def estimate(self, observation: Tree) -> Estimate:
        """The online network's, of `[B, *obs]`."""
        ...

    def compute(
        self, estimate: Estimate, action: Tensor, target: Tensor, importance_weight: Tensor
    ) -> LossAndPriority:
        """Leave the gradient of the weighted mean loss with the optimizer.

        Returns:
            The mean `[]`, and the priority of each transition `[B]`.
        """
        ...


def build_gradient(
    network: QNetwork, optimizer: Optimizer, *, is_compiled: bool = False
) -> Gradient:
    """Written out where the network allows it and is not compiled, and where all of it learns."""
    layers = None if is_compiled else network.fully_connected()
    if layers is None or not all(each.requires_grad for each in network.parameters()):
        return ByAutograd(network, optimizer)
    return WrittenOut(network, layers, optimizer)


class ByAutograd:
    """For networks and heads of any kind."""

    def __init__(self, network: QNetwork, optimizer: Optimizer) -> None:
        self._network = network
        self._optimizer = optimizer

    def region(self) -> AbstractContextManager[object]:
        """Nothing special."""
        return contextlib.nullcontext()

    def estimate(self, observation: Tree) -> Estimate:
        """With its graph."""
        samples = self._network.head.num_samples
        estimate: Estimate = self._network(observation, samples=samples)
        return estimate

    def compute(
        self, estimate: Estimate, action: Tensor, target: Tensor, importance_weight: Tensor
    ) -> LossAndPriority:
        """As `Gradient`."""
        loss, priority = self._network.head.loss(estimate, action, target)
        check_shapes("update", loss=(loss, "B"), importance_weight=(importance_weight, "B"))
        weighted_loss = (importance_weight * loss).mean()
        self._optimizer.differentiate(weighted_loss)
        return LossAndPriority(weighted_loss.detach(), priority)


class WrittenOut:
    """For fully connected layers under a scalar head."""

    def __init__(self, network: QNetwork, layers: FullyConnected, optimizer: Optimizer) -> None:
        self._network = network
        self._layers = layers
        self._gradients = optimizer.gradients()

    def region(self) -> AbstractContextManager[object]:
        """Without the book-keeping that autograd needs: a fifth of a small update."""
        return torch.inference_mode()

    def estimate(self, observation: Tree) -> Estimate:
        """Keeps what each layer was given."""
        encoder = self._network.encoder
        assert isinstance(encoder, VectorEncoder)
        return Estimate(self._layers.forward(encoder.flatten(observation)), None)

    def compute(
        self, estimate: Estimate, action: Tensor, target: Tensor, importance_weight: Tensor
    ) -> LossAndPriority:
        """As `Gradient`."""
        head = self._network.head
        assert isinstance(head, ScalarReturns)
        check_shapes(
            "update",
            values=(estimate.values, "B A"),
            action=(action, "B"),
            target=(target, "B"),
            importance_weight=(importance_weight, "B"),
        )
        (loss, priority), slope = head.loss_and_slope(estimate, action, target)
        importance_weight = importance_weight.to(slope.dtype)
        share = (slope * importance_weight).div_(len(slope)).unsqueeze_(1)  # [B, 1] of the mean
        slopes = torch.zeros_like(estimate.values).scatter_(1, action.unsqueeze(1), share)
        self._layers.backward(slopes, self._gradients)
        return LossAndPriority(importance_weight.dot(loss) / len(loss), priority)
