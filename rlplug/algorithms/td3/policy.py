"""The acting half with a deterministic actor: its action plus noise, alone in greedy mode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch

from rlplug.algorithms.td3.network import build_actor
from rlplug.algorithms.td3.noise import ActionNoise
from rlplug.protocols import PolicyStep
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.algorithms.td3.config import Td3Config
    from rlplug.algorithms.td3.network import Actor
    from rlplug.data import Array, Tree, Weights
    from rlplug.protocols import Mode, PolicyContext, State


class Td3Policy:
    """Chooses actions for N environments, in the Box's own units and within its bounds.

    Without an actor of its own it acts on the one it is given, whose weights may change under it:
    that is how it shares the learner's in one process.
    """

    def __init__(
        self, config: Td3Config, context: PolicyContext, actor: Actor | None = None
    ) -> None:
        self.config = config
        self.device = context.device
        self.space: Any = context.action_space
        self.actor = actor or build_actor(config, context)
        self.generator = context.seeds.numpy("random-actions")
        self.noise = ActionNoise(
            config.exploration,
            (len(context.streams), math.prod(context.action_space.shape or ())),
            context.total_env_steps,
            context.seeds.numpy("noise"),
        )
        self.env_steps = 0

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """Actions `[N, *shape]` for `[N, *obs]`.

        The first steps of a run explore uniformly over the whole Box. After them, and in `sample`
        mode, actions are noisy; `greedy` adds nothing.
        """
        if mode == "explore" and self.env_steps < self.config.random_env_steps:
            num_envs = len(optree.tree_leaves(observation)[0])
            return PolicyStep(self._random(num_envs), policy_state, {})
        with torch.inference_mode():
            action = self.actor.forward(optree.tree_map(self._tensor, observation))  # [N, D]
            if mode != "greedy":
                noise = self._tensor(self.noise.draw(self.env_steps))
                action = (action + noise).clamp(-1.0, 1.0)
            chosen = self.actor.units.to_environment(action).cpu().numpy()
        # the rounding of its scale may have put it outside
        inside = np.minimum(np.maximum(chosen, self.space.low), self.space.high)
        return PolicyStep(inside, policy_state, {})

    def _random(self, num_envs: int) -> Array:
        space = self.space
        uniform = self.generator.uniform(space.low, space.high, (num_envs, *space.shape))
        action: Array = uniform.astype(space.dtype)
        return action

    def _tensor(self, leaf: Array) -> torch.Tensor:
        return torch.as_tensor(leaf, device=self.device)

    def initial_state(self, num_envs: int) -> Tree:
        """None: the policy keeps no recurrent state."""
        del num_envs

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Start the noise again where `which` `[N]` is true."""
        self.noise.reset(which)
        return policy_state

    def set_progress(self, env_steps: int) -> None:
        """Note the global step count, on which random steps and noise depend."""
        self.env_steps = env_steps

    def set_weights(self, weights: Weights) -> None:
        """Copy published weights into the actor."""
        self.actor.load_state_dict(weights)

    def metrics(self) -> dict[str, float]:
        """What a report shows of acting."""
        return {"noise_scale": self.noise.scale(self.env_steps)}

    def state_dict(self) -> State:
        """Generators, noise and step count."""
        return {
            "generator": generator_state(self.generator),
            "noise": self.noise.state_dict(),
            "env_steps": self.env_steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        set_generator_state(self.generator, state["generator"])
        self.noise.load_state_dict(state["noise"])
        self.env_steps = state["env_steps"]
