"""The acting half of soft actor-critic: draws while training, none in greedy mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch
from gymnasium import spaces

from rlplug.algorithms.sac.network import build_actor
from rlplug.protocols import PolicyStep
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
    from rlplug.algorithms.sac.network import Actor
    from rlplug.data import Array, Tree, Weights
    from rlplug.protocols import Mode, PolicyContext, State


class SacPolicy:
    """Chooses actions for N environments, in the action space's own terms and within its bounds.

    Without an actor of its own it acts on the one it is given, whose weights may change under it:
    that is how it shares the learner's in one process.
    """

    def __init__(
        self,
        config: SacConfig | DiscreteSacConfig,
        context: PolicyContext,
        actor: Actor | None = None,
    ) -> None:
        self.config = config
        self.device = context.device
        self.space: Any = context.action_space
        self.actor = actor or build_actor(config, context)
        self.generator = context.seeds.numpy("random-actions")
        self.torch_generator = context.seeds.torch("acting", context.device)
        self.env_steps = 0

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """Actions `[N, ...]` for `[N, *obs]`.

        The first steps of a run explore uniformly over all actions that no mask forbids; `sample`
        always draws from the policy, and `greedy` takes its mode: for a Box the tanh of the mean.
        """
        if mode == "explore" and self.env_steps < self.config.random_env_steps:
            return PolicyStep(self._random(observation), policy_state, {})
        with torch.inference_mode():
            policy = self.actor.forward(optree.tree_map(self._tensor, observation))
            drawn = policy.mode() if mode == "greedy" else policy.sample(self.torch_generator)
            action = self.actor.actions.to_environment(drawn).cpu().numpy()
        return PolicyStep(self._within_bounds(action), policy_state, {})

    def _random(self, observation: Tree) -> Array:
        space, num_envs = self.space, len(optree.tree_leaves(observation)[0])
        _, mask = self.actor.split_mask(observation)
        if mask is not None:
            order = self.generator.random((num_envs, space.n))
            chosen: Array = np.where(mask, order, -1.0).argmax(axis=1)
            return chosen + int(space.start)
        if isinstance(space, spaces.Discrete):
            return self.generator.integers(space.n, size=num_envs) + int(space.start)
        uniform = self.generator.uniform(space.low, space.high, (num_envs, *space.shape))
        action: Array = uniform.astype(space.dtype)
        return action

    def _within_bounds(self, action: Array) -> Array:
        """A Box's action may lie outside by the rounding of its scale."""
        if isinstance(self.space, spaces.Discrete):
            return action
        inside: Array = np.minimum(np.maximum(action, self.space.low), self.space.high)
        return inside

    def _tensor(self, leaf: Array) -> torch.Tensor:
        return torch.as_tensor(leaf, device=self.device)

    def initial_state(self, num_envs: int) -> Tree:
        """None: the policy keeps no recurrent state."""
        del num_envs

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Nothing to reset."""
        del which
        return policy_state

    def set_progress(self, env_steps: int) -> None:
        """Note the global step count, which ends the random steps."""
        self.env_steps = env_steps

    def set_weights(self, weights: Weights) -> None:
        """Copy published weights into the actor."""
        self.actor.load_state_dict(weights)

    def metrics(self) -> dict[str, float]:
        """Nothing: entropy and temperature are the agent's to tell."""
        return {}

    def state_dict(self) -> State:
        """Generators and step count."""
        return {
            "generator": generator_state(self.generator),
            "torch_generator": self.torch_generator.get_state(),
            "env_steps": self.env_steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        set_generator_state(self.generator, state["generator"])
        self.torch_generator.set_state(state["torch_generator"])
        self.env_steps = state["env_steps"]
