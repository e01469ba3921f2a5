"""Policy and value as one module, and how it is built from a config and two spaces."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rlplug.nn.action_masks import MaskSplitter, without_mask
from rlplug.nn.action_spaces import distribution_for
from rlplug.nn.encoders import build_encoder
from rlplug.nn.normalizers import ObservationNormalizer
from rlplug.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium
    from torch import Tensor

    from rlplug.algorithms.ppo.config import NetworkConfig, PpoConfig
    from rlplug.data import Tree
    from rlplug.nn.distributions import Distribution
    from rlplug.nn.recurrent import Packing
    from rlplug.seeding import Seeds

    Space = gymnasium.Space[Any]


class ActorCritic(nn.Module):
    """Observations to a distribution over actions and, with a value function, to values.

    An observation is first *seen* (`see`): split from its mask and normalised. The statistics
    stand still between updates, so what was seen once serves every pass over a rollout.
    """

    __call__: Callable[..., tuple[Distribution, Tensor | None]]

    def __init__(self, config: PpoConfig, observation_space: Space, action_space: Space) -> None:
        super().__init__()
        network = config.network
        visible = without_mask(observation_space, action_space)
        self.split_mask = MaskSplitter(observation_space, action_space)
        self.normalizer = ObservationNormalizer(visible) if config.normalize_observations else None
        self.has_value = config.advantage.kind != "returns"
        num_encoders = 2 if self.has_value and not network.share_encoder else 1
        self.encoders = nn.ModuleList(
            build_encoder(network.encoder, visible) for _ in range(num_encoders)
        )
        self.encoders.apply(_orthogonal)
        features = int(self.encoders[0].num_features)  # type: ignore[arg-type]  # an Encoder
        self.recurrent: Recurrent | None = None
        if network.recurrent.kind != "none":
            hidden_size = network.recurrent.hidden_size
            self.recurrent = Recurrent(network.recurrent.kind, features, hidden_size)
            features = hidden_size
        self.actions = distribution_for(
            action_space, log_std=network.log_std, initial_log_std=network.initial_log_std
        )
        self.policy = _layers(features, self.actions.num_parameters, network, gain=0.01)
        self.value = _layers(features, 1, network, gain=1.0) if self.has_value else None

    @property
    def state_size(self) -> int:
        """S of the recurrent state; 0 without."""
        return self.recurrent.state_size if self.recurrent else 0

    def see(self, observation: Tree) -> tuple[Tree, Tree]:
        """Observations `[B, *obs]` as the methods below take them: normalised, and their mask."""
        visible, mask = self.split_mask(observation)
        return (self.normalizer(visible) if self.normalizer else visible), mask

    def forward(
        self, seen: tuple[Tree, Tree], packing: Packing | None = None
    ) -> tuple[Distribution, Tensor | None]:
        """Distribution over `[B]` actions, and values `[B]`.

        Args:
            seen: `[B, ...]`; in the order of `packing` where the network is recurrent.
            packing: How rows follow each other in time.
        """
        visible, mask = seen
        features = [self._remember(encoder(visible), packing) for encoder in self.encoders]
        distribution = self.actions.build(self.policy(features[0]), mask)
        return distribution, self.value(features[-1]).squeeze(1) if self.value else None

    def values(self, seen: tuple[Tree, Tree], packing: Packing | None = None) -> Tensor:
        """Values `[B]` alone."""
        assert self.value is not None
        values: Tensor = self.value(self._remember(self.encoders[-1](seen[0]), packing))
        return values.squeeze(1)

    def act(
        self, seen: tuple[Tree, Tree], state: Tensor | None
    ) -> tuple[Distribution, Tensor | None]:
        """Distribution over `[N]` actions, and the next state `[N, S]`."""
        visible, mask = seen
        features = self.encoders[0](visible)
        if self.recurrent is not None and state is not None:
            features, state = self.recurrent.step(features, state)
        return self.actions.build(self.policy(features), mask), state

    def _remember(self, features: Tensor, packing: Packing | None) -> Tensor:
        return features if self.recurrent is None else self.recurrent(features, packing)


def _layers(inputs: int, outputs: int, config: NetworkConfig, *, gain: float) -> nn.Sequential:
    """Hidden layers and a head; `gain` scales the weights of the head."""
    activation = Tanh if config.activation == "tanh" else nn.ReLU
    sizes = (inputs, *config.hidden_sizes)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    head = nn.Linear(sizes[-1], outputs)
    result = nn.Sequential(*layers, head).apply(_orthogonal)
    with torch.no_grad():
        head.weight.mul_(gain / math.sqrt(2))
    return result


def _orthogonal(module: nn.Module) -> None:
    """Rows of equal length √2 at right angles, and no bias."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.orthogonal_(module.weight, math.sqrt(2))
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class Tanh(nn.Module):
    """tanh x = 2 σ(2x) − 1, which on a processor takes 12 µs for `[256, 64]` where tanh takes 35.

    Its error is that of rounding near 1, below 2e-7, also where x is near 0.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return 2 * torch.sigmoid(2 * x) - 1


def build_network(
    config: PpoConfig, observation_space: Space, action_space: Space, *, seeds: Seeds, device: str
) -> ActorCritic:
    """A network whose initial weights depend on `seeds` alone; torch's own generator is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer("network"))
        network = ActorCritic(config, observation_space, action_space)
    return network.to(device)
