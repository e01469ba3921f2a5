"""The acting half of the on-policy family: draw from the policy, and say how likely it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optree
import torch

from rlplug.algorithms.ppo.network import build_network
from rlplug.protocols import PolicyStep

if TYPE_CHECKING:
    from rlplug.algorithms.ppo.config import PpoConfig
    from rlplug.algorithms.ppo.network import ActorCritic
    from rlplug.data import Array, Tree, Weights
    from rlplug.protocols import Mode, PolicyContext, State


class PpoPolicy:
    """Chooses actions for N environments, in the action space's own terms, bounds not enforced.

    Without a network of its own it acts on the one it is given, whose weights may change under it:
    that is how it shares the learner's in one process.
    """

    def __init__(
        self, config: PpoConfig, context: PolicyContext, network: ActorCritic | None = None
    ) -> None:
        self.context = context
        self.network = network or build_network(
            config,
            context.observation_space,
            context.action_space,
            seeds=context.seeds,
            device=context.device,
        )
        self.generator = context.seeds.torch("acting", context.device)

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """Actions `[N, ...]` for `[N, *obs]`; `explore` and `sample` draw alike.

        The extras are `log_prob` `[N]` of the action as it is stored, in the space's terms;
        `recurrent_state` `[N, S]` before this step, where there is one; `value` `[N]` where it is
        nearly free.
        """
        network = self.network
        with torch.inference_mode():
            seen = network.see(optree.tree_map(self._tensor, observation))
            state = None if policy_state is None else self._tensor(policy_state)
            distribution, value, state = network.act(seen, state)
            is_greedy = mode == "greedy"
            chosen = distribution.mode() if is_greedy else distribution.sample(self.generator)
            action = network.actions.to_environment(chosen)
            # of what is stored: to the environment's units and back is not always exact
            log_prob = distribution.log_prob(network.actions.from_environment(action))
        extras = {"log_prob": _array(log_prob)}
        if value is not None:
            extras["value"] = _array(value)
        if policy_state is not None:
            extras["recurrent_state"] = policy_state
        next_state = None if state is None else _array(state)
        return PolicyStep(optree.tree_map(_array, action), next_state, extras)

    def _tensor(self, leaf: Array) -> torch.Tensor:
        return torch.as_tensor(leaf, device=self.context.device)

    def initial_state(self, num_envs: int) -> Tree:
        """`[N, S]` zeros; None where the network is not recurrent."""
        size = self.network.state_size
        return np.zeros((num_envs, size), np.float32) if size else None

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Zeros where `which` is true."""
        return None if policy_state is None else np.where(which[:, None], 0, policy_state)

    def set_progress(self, env_steps: int) -> None:
        """Nothing depends on it: the policy explores as much as it has learned to."""

    def set_weights(self, weights: Weights) -> None:
        """Copy published weights, and the statistics among them, into the network."""
        self.network.load_state_dict(weights)

    def metrics(self) -> dict[str, float]:
        """Nothing that the learner does not report."""
        return {}

    def state_dict(self) -> State:
        """The generator."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.generator.set_state(state["generator"])


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.cpu().numpy()
    return array
