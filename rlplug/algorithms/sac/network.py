"""The actor, and how it and the critics are built for an action space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch
from gymnasium import spaces
from torch import nn

from rlplug.errors import IncompatibleError
from rlplug.nn.action_masks import MaskSplitter, without_mask
from rlplug.nn.action_spaces import distribution_for
from rlplug.nn.critic import ActionCritic, DiscreteCritic, mlp
from rlplug.nn.encoders import build_encoder
from rlplug.nn.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium

    from rlplug.algorithms.sac.config import NetworkConfig, SoftConfig
    from rlplug.data import Tree
    from rlplug.nn.action_spaces import ActionDistribution
    from rlplug.nn.distributions import Distribution
    from rlplug.protocols import AgentContext, PolicyContext

    Space = gymnasium.Space[Any]


class Actor(nn.Module):
    """Observations to a distribution over actions: squashed Gaussian, or categorical."""

    __call__: Callable[..., Distribution]
    actions: ActionDistribution
    """Between the space's terms and the distribution's."""

    def __init__(
        self, config: NetworkConfig, observation_space: Space, action_space: Space
    ) -> None:
        super().__init__()
        self.actions = distribution_for(action_space, box="squashed", log_std="state")
        self.split_mask = MaskSplitter(observation_space, action_space)
        visible = without_mask(observation_space, action_space)
        self.encoder = build_encoder(config.encoder, visible)
        self.layers = mlp(
            (self.encoder.num_features, *config.hidden_sizes, self.actions.num_parameters)
        )
        self.precision = Precision(config.precision, self.encoder)

    def forward(self, observation: Tree) -> Distribution:
        """`[B, *obs]` -> a distribution of `[B]` actions."""
        visible, mask = self.split_mask(observation)
        rows = len(optree.tree_leaves(visible)[0])
        with self.precision(self, rows=rows):
            parameters = self.layers(self.encoder(visible))
        return self.actions.build(parameters, mask)


def build_actor(config: SoftConfig, context: AgentContext | PolicyContext) -> Actor:
    """An actor whose weights depend on the context's seeds alone.

    Raises:
        IncompatibleError: actions that are neither Discrete nor a bounded Box of floats.
    """
    space = context.action_space
    is_float = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
    if not (is_float or isinstance(space, spaces.Discrete)):
        raise IncompatibleError(
            f"Soft actor-critic has no actions in {space}; expected Discrete (sac-discrete) or a "
            "bounded Box of floats (sac). Wrap the environment, or use ppo."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seeds.integer("actor"))
        actor = Actor(config.network, context.observation_space, space)
    return actor.to(context.device)


def build_critic(config: SoftConfig, context: AgentContext) -> ActionCritic | DiscreteCritic:
    """Critics over action values: of a given action in a Box, of all where they are discrete."""
    space = context.action_space
    network = config.network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seeds.integer("critic"))
        visible = without_mask(context.observation_space, space)
        encoder = build_encoder(network.encoder, visible)
        build: type[ActionCritic | DiscreteCritic]
        if isinstance(space, spaces.Discrete):
            build, size = DiscreteCritic, int(space.n)
        else:
            build, size = ActionCritic, int(np.prod(space.shape or ()))
        critic = build(encoder, size, network.hidden_sizes, config.num_critics, network.precision)
    return critic.to(context.device)
