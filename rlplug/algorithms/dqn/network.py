"""Encoder and head as one module, and how it is built from a config and two spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optree
import torch
from torch import Tensor, nn

from rlplug.algorithms.dqn.heads import Estimate, ScalarReturns, build_head
from rlplug.nn.encoders import VectorEncoder, build_encoder
from rlplug.nn.fully_connected import FullyConnected
from rlplug.nn.precision import Precision

if TYPE_CHECKING:
    import gymnasium

    from rlplug.algorithms.dqn.config import DqnConfig
    from rlplug.data import Tree
    from rlplug.seeding import Seeds


class QNetwork(nn.Module):
    """Observations to an estimate of each action's return."""

    def __init__(
        self,
        config: DqnConfig,
        observation_space: gymnasium.Space[Any],
        num_actions: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(config.network.encoder, observation_space)
        self.head = build_head(config.head, config.network, self.encoder.num_features, num_actions)
        self.precision = Precision(config.network.precision, self.encoder)
        self.generator = generator  # draws quantile fractions where the caller brings none
        self._plain = self.fully_connected()

    def fully_connected(self) -> FullyConnected | None:
        """All layers from a flattened observation to the values, where they are of that kind."""
        encoder, head = self.encoder, self.head
        if type(encoder) is not VectorEncoder or type(head) is not ScalarReturns:
            return None
        if head.layers.value is not None or self.precision.name == "bfloat16":
            return None
        return FullyConnected.of([*encoder.after_flattening, *head.layers.advantage])

    def forward(
        self,
        observation: Tree,
        *,
        samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Estimate:
        """Estimate `[B, A, ...]` for `[B, *obs]`; `samples` fractions where the head draws them."""
        if self._plain is not None and torch.is_inference_mode_enabled():
            return self._without_modules(self._plain, observation)
        with self.precision(self):
            features = self.encoder(observation)
            return self.head(features, samples=samples, generator=generator or self.generator)

    def q_values(
        self,
        observation: Tree,
        *,
        generator: torch.Generator | None = None,
        risk_level: float = 1.0,
        evenly: bool = False,
    ) -> Tensor:
        """Mean returns `[B, A]`; over the lowest `risk_level` of fractions where they are drawn.

        `evenly` spaces these fractions instead of drawing them.
        """
        head = self.head
        if self._plain is not None and torch.is_inference_mode_enabled():
            return head.mean(self._without_modules(self._plain, observation))
        rows = len(optree.tree_leaves(observation)[0])
        with self.precision(self, rows=rows):
            estimate = head(
                self.encoder(observation),
                samples=head.num_acting_samples,
                generator=generator or self.generator,
                risk_level=risk_level,
                evenly=evenly,
            )
        return head.mean(estimate)

    def _without_modules(self, layers: FullyConnected, observation: Tree) -> Estimate:
        """The same values; a call of a module costs more than a product of one row."""
        assert isinstance(self.encoder, VectorEncoder)
        return Estimate(layers(self.encoder.flatten(observation)), None)


def build_network(
    config: DqnConfig,
    observation_space: gymnasium.Space[Any],
    num_actions: int,
    *,
    seeds: Seeds,
    device: str,
) -> QNetwork:
    """A network whose initial weights depend on `seeds` alone; torch's own generator is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer("network"))
        network = QNetwork(config, observation_space, num_actions, seeds.torch("fractions", device))
    return network.to(device)
