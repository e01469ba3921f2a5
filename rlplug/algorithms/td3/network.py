"""The deterministic actor, and how it and the critics are built for a Box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch
from gymnasium import spaces
from torch import nn

from rlplug.errors import IncompatibleError
from rlplug.nn.action_spaces import BoxActions
from rlplug.nn.critic import ActionCritic, mlp
from rlplug.nn.encoders import build_encoder
from rlplug.nn.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium
    from torch import Tensor

    from rlplug.algorithms.td3.config import NetworkConfig, Td3Config
    from rlplug.data import Tree
    from rlplug.protocols import AgentContext, PolicyContext


class Actor(nn.Module):
    """Observations to actions; the bounds of the Box are at −1 and 1."""

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        config: NetworkConfig,
        observation_space: gymnasium.Space[Any],
        action_space: spaces.Box,
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(config.encoder, observation_space)
        num_actions = int(np.prod(action_space.shape))
        self.layers = mlp((self.encoder.num_features, *config.hidden_sizes, num_actions))
        self.units = BoxActions(action_space, "squashed", "state", 0.0)
        """Between the space's terms and (−1, 1)."""
        self.precision = Precision(config.precision, self.encoder)

    def forward(self, observation: Tree) -> Tensor:
        """`[B, *obs]` -> `[B, D]` in [−1, 1]."""
        rows = len(optree.tree_leaves(observation)[0])
        with self.precision(self, rows=rows):
            outputs: Tensor = self.layers(self.encoder(observation))
        return torch.tanh(outputs)


def build_actor(config: Td3Config, context: AgentContext | PolicyContext) -> Actor:
    """An actor whose weights depend on the context's seeds alone.

    Raises:
        IncompatibleError: actions that are no bounded Box of floats.
    """
    space = context.action_space
    if not (isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)):
        raise IncompatibleError(
            f"A deterministic actor has no actions in {space}; expected a bounded Box of floats. "
            "Wrap the environment, or use ppo."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seeds.integer("actor"))
        actor = Actor(config.network, context.observation_space, space)
    return actor.to(context.device)


def build_critic(config: Td3Config, context: AgentContext) -> ActionCritic:
    """One critic or two."""
    network = config.network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seeds.integer("critic"))
        encoder = build_encoder(network.encoder, context.observation_space)
        num_actions = int(np.prod(context.action_space.shape or ()))
        critic = ActionCritic(
            encoder, num_actions, network.hidden_sizes, config.num_critics, network.precision
        )
    return critic.to(context.device)
