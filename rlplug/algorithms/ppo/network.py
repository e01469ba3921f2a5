"""Policy and value as one module, and how it is built from a config and two spaces."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from rlplug.nn.action_masks import MaskSplitter, without_mask
from rlplug.nn.action_spaces import distribution_for
from rlplug.nn.encoders import ImageEncoder, ResidualBlock, VectorEncoder, build_encoder
from rlplug.nn.linear import Linear, ensemble_linear, member_linear
from rlplug.nn.normalizers import ObservationNormalizer
from rlplug.nn.precision import Precision, in_float32, widened
from rlplug.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import gymnasium
    from torch import Tensor

    from rlplug.algorithms.ppo.config import NetworkConfig, PpoConfig
    from rlplug.data import Tree
    from rlplug.nn.distributions import Distribution
    from rlplug.nn.recurrent import Packing
    from rlplug.seeding import Seeds

    Space = gymnasium.Space[Any]

_GAIN = math.sqrt(2)
"""Of orthogonal weights: what comes out has the size of what went in (for ReLU)."""


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
        trunks = [Trunk(network, visible) for _ in range(num_encoders)]
        self.encoders = nn.ModuleList(trunks)
        features = trunks[0].num_features
        self.recurrent: Recurrent | None = None
        if network.recurrent.kind != "none":
            hidden_size = network.recurrent.hidden_size
            self.recurrent = Recurrent(network.recurrent.kind, features, hidden_size)
            features = hidden_size
        self.actions = distribution_for(
            action_space, log_std=network.log_std, initial_log_std=network.initial_log_std
        )
        self.towers = Towers(1 + self.has_value, features, network)
        self.policy_head = _head(self.towers.num_features, self.actions.num_parameters, gain=0.01)
        self.value_head = _head(self.towers.num_features, 1, gain=1.0) if self.has_value else None

        self.values_while_acting = (
            num_encoders == 1
            and self.has_value
            and config.advantage.kind != "vtrace"  # which values with the weights that learn
            and self.recurrent is None
            and any(True for _ in self.encoders.parameters())
        )
        """Whether `act` gives values: where they cost next to nothing beside the shared encoder."""
        self.precision = Precision(network.precision, self.encoders)
        self.is_towers_alone = (
            self.recurrent is None
            and network.precision != "bfloat16"
            and not any(True for _ in self.encoders.parameters())
            and all(type(trunk.encoder) is VectorEncoder for trunk in trunks)
        )
        """Whether all that learns is towers on a flat vector, with their heads."""

    @property
    def state_size(self) -> int:
        """S of the recurrent state; 0 without."""
        return self.recurrent.state_size if self.recurrent else 0

    def flatten(self, visible: Tensor) -> Tensor:
        """`[B, *obs]` -> `[B, D]`, for towers alone."""
        encoder = self.encoders[0].encoder
        assert isinstance(encoder, VectorEncoder)
        return encoder.flatten(visible)

    def see(self, observation: Tree) -> tuple[Tree, Tree]:
        """Observations `[B, *obs]` as the methods below take them: normalised, and their mask."""
        visible, mask = self.split_mask(observation)
        return (self.normalizer(visible) if self.normalizer else visible), mask

    def forward(
        self, seen: tuple[Tree, Tree], packing: Packing | None = None
    ) -> tuple[Distribution, Tensor | None]:
        """Distribution over `[B]` actions, and values `[B]`.

        Args:
            seen: `[B, ...]`
            packing: How rows follow each other in time, where the network is recurrent.
        """
        visible, mask = seen
        with self.precision(self):
            features = [self._remember(encoder(visible), packing) for encoder in self.encoders]
            policy, *value = self.towers(features)
        distribution = self.actions.build(self.policy_head(widened(policy)), mask)
        if self.value_head is None:
            return distribution, None
        return distribution, self.value_head(widened(value[0])).squeeze(1)

    def values(self, seen: tuple[Tree, Tree], packing: Packing | None = None) -> Tensor:
        """Values `[B]` alone."""
        assert self.value_head is not None
        with self.precision(self):
            features = self._remember(self.encoders[-1](seen[0]), packing)
            features = self.towers.alone(1, features)
        values: Tensor = self.value_head(widened(features))
        return values.squeeze(1)

    def act(
        self, seen: tuple[Tree, Tree], state: Tensor | None
    ) -> tuple[Distribution, Tensor | None, Tensor | None]:
        """Distribution over `[N]` actions, values `[N]` or None, and the next state `[N, S]`."""
        visible, mask = seen
        judged = None
        with self.precision(self):
            features = self.flatten(visible) if self.is_towers_alone else self.encoders[0](visible)
            if self.recurrent is not None and state is not None:
                with in_float32(features):
                    features, state = self.recurrent.step(widened(features), state)
            if self.values_while_acting:
                judged = self.towers.alone(1, features)
            features = self.towers.alone(0, features)
        value = None
        if judged is not None and self.value_head is not None:
            value = self.value_head(widened(judged)).squeeze(1)
        return self.actions.build(self.policy_head(widened(features)), mask), value, state

    def _remember(self, features: Tensor, packing: Packing | None) -> Tensor:
        if self.recurrent is None:
            return features
        with in_float32(features):
            output: Tensor = self.recurrent(widened(features), packing)
            return output


class Trunk(nn.Module):
    """An encoder and the layers that belong to it."""

    def __init__(self, config: NetworkConfig, observation_space: Space) -> None:
        super().__init__()
        self.encoder = build_encoder(config.encoder, observation_space)
        sizes = (self.encoder.num_features, *config.trunk_sizes)
        self.num_features = sizes[-1]
        self.layers = nn.ModuleList(Linear(*pair) for pair in pairwise(sizes))
        self.activation = _activation(config)
        left_alone = set(_residual_encoders(self))
        for module in self.modules():
            if module not in left_alone:
                _orthogonal(module)

    def forward(self, observation: Tree) -> Tensor:
        """`[B, *obs]` -> `[B, D]`."""
        features = self.encoder(observation)
        for layer in self.layers:
            features = self.activation(layer(features))
        return features


class Towers(nn.Module):
    """The hidden layers of policy and value side by side: one batched product for both.

    Args:
        num_towers: 2, or 1 for the policy alone.
        inputs: D of the features.
        config: Sizes and activation.
    """

    __call__: Callable[..., tuple[Tensor, ...]]

    def __init__(self, num_towers: int, inputs: int, config: NetworkConfig) -> None:
        super().__init__()
        sizes = (inputs, *config.hidden_sizes)
        self.num_features = sizes[-1]
        self.weights = nn.ParameterList(
            torch.empty(num_towers, before, after) for before, after in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            torch.zeros(num_towers, 1, after) for after in config.hidden_sizes
        )
        for weight in self.weights:
            for tower in weight:
                nn.init.orthogonal_(tower, _GAIN)
        self.num_towers = num_towers
        self.activation = _activation(config)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, ...]:
        """`[B, D]` for each tower, or one for all, -> `[B, H]` of each tower."""
        shared = len(features) == 1
        x = features[0].expand(self.num_towers, -1, -1) if shared else torch.stack(features)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = self.activation(ensemble_linear(x, weight, bias))
        return x.unbind(0)

    def layer_by_layer(self, features: Tensor) -> list[Tensor]:
        """`[B, D]` for all towers -> what it is before and after each layer, `[C, B, H]`."""
        layers = [features.expand(self.num_towers, -1, -1)]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            layers.append(self.activation(ensemble_linear(layers[-1], weight, bias)))
        return layers

    def slope(self, slope: Tensor, output: Tensor) -> Tensor:
        """From the slope behind an activation to that before it, by what it put out."""
        if self.activation is tanh:
            before: Tensor = torch.ops.aten.tanh_backward(slope, output)
        else:
            before = torch.ops.aten.threshold_backward(slope, output, 0)
        return before

    def alone(self, tower: int, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, H]` of one tower."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            features = self.activation(member_linear(features, weight[tower], bias[tower]))
        return features


def _activation(config: NetworkConfig) -> Callable[[Tensor], Tensor]:
    return tanh if config.activation == "tanh" else torch.relu


def _head(inputs: int, outputs: int, *, gain: float) -> nn.Linear:
    head = nn.Linear(inputs, outputs).apply(_orthogonal)
    with torch.no_grad():
        head.weight.mul_(gain / _GAIN)
    return head


def _orthogonal(module: nn.Module) -> None:
    """Rows or columns of equal length √2 at right angles, and no bias."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.orthogonal_(module.weight, _GAIN)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        slope: Tensor = torch.ops.aten.tanh_backward(gradient, y)
        return slope


def tanh(x: Tensor) -> Tensor:
    """Tanh as 2 σ(2x) − 1, which on a processor takes 14 µs for `[256, 64]` in place of 35.

    Its error is that of rounding near 1, below 2e-7, also where x is near 0.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _tanh(x)
    y: Tensor = _Tanh.apply(x)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return y


def _tanh(x: Tensor) -> Tensor:
    return torch.rsub((x + x).sigmoid_(), -1, alpha=-2)


def _residual_encoders(module: nn.Module) -> Iterator[nn.Module]:
    """All parts of encoders with residual blocks, which keep the initial values that they have.

    Orthogonal weights keep the size of what they are given, and a block adds what it was given to
    what it makes of it: first values were ten times as large, and updates changed the policy too
    much. The published PPO for this network has no orthogonal weights in it either.
    """
    for part in module.modules():
        if isinstance(part, ImageEncoder):
            layers = list(part.modules())
            if any(isinstance(layer, ResidualBlock) for layer in layers):
                yield from layers


def build_network(
    config: PpoConfig, observation_space: Space, action_space: Space, *, seeds: Seeds, device: str
) -> ActorCritic:
    """A network whose initial weights depend on `seeds` alone; torch's own generator is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer("network"))
        network = ActorCritic(config, observation_space, action_space)
    return network.to(device)
