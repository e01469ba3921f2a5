"""The acting half of the value family: mean returns, then epsilon-greedy or greedy under noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optree
import torch

from rlplug.algorithms.dqn.bootstrap import KnownValues, build_bootstrap
from rlplug.algorithms.dqn.network import build_network
from rlplug.nn.noisy import remove_noise, resample_noise
from rlplug.ops.schedules import schedule_value
from rlplug.protocols import PolicyStep
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.algorithms.dqn.config import DqnConfig
    from rlplug.algorithms.dqn.network import QNetwork
    from rlplug.data import Array, TransitionBatch, Tree, Weights
    from rlplug.protocols import Mode, PolicyContext, State


class DqnPolicy:
    """Chooses discrete actions for N environments, in the action space's own numbering.

    Without a network of its own it acts on the one it is given, whose weights may change under it:
    that is how it shares the learner's in one process.
    """

    def __init__(
        self, config: DqnConfig, context: PolicyContext, network: QNetwork | None = None
    ) -> None:
        space = context.action_space
        self.config = config
        self.context = context
        self.num_actions = int(space.n)  # type: ignore[attr-defined]  # Discrete, by the spec
        self.first_action = int(space.start)  # type: ignore[attr-defined]
        self.network = network or build_network(
            config,
            context.observation_space,
            self.num_actions,
            seeds=context.seeds,
            device=context.device,
        )
        self.is_noisy = config.exploration.kind == "noisy"
        self.has_noisy_layers = config.network.noisy is not None
        self.generator = context.seeds.numpy("exploration")
        self.torch_generator = context.seeds.torch("acting", context.device)
        self.risk_level = getattr(config.head, "risk_level", 1.0)
        self.env_steps = 0

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """Actions `[N]` int64 for `[N, *obs]`.

        Each environment draws its own coin. `sample` acts like `explore`: this family's stochastic
        policy is its exploration.
        """
        num_envs = len(optree.tree_leaves(observation)[0])
        is_greedy = mode == "greedy"
        epsilon = self._evaluation_epsilon(num_envs) if is_greedy else self._epsilon(num_envs)
        is_random = self.generator.random(num_envs) < epsilon if epsilon.any() else epsilon > 0
        action = (
            self.generator.integers(self.num_actions, size=num_envs)
            if is_random.any()
            else np.zeros(num_envs, np.int64)
        )
        if not is_random.all():
            best = self._best_action(observation, num_envs, is_greedy=is_greedy)
            action = np.where(is_random, action, best)
        return PolicyStep(action + self.first_action, policy_state, {})

    def _best_action(self, observation: Tree, num_envs: int, *, is_greedy: bool) -> Array:
        """`[N]`; greedy draws neither noise nor fractions."""
        with torch.inference_mode():
            if self.is_noisy and not is_greedy:
                resample_noise(self.network, num_envs, self.torch_generator)
            elif self.has_noisy_layers:
                remove_noise(self.network)  # what the last update left in a shared network
            tensors = optree.tree_map(self._tensor, observation)
            values = self.network.q_values(
                tensors,
                generator=self.torch_generator,
                risk_level=self.risk_level,
                evenly=is_greedy,
            )
        return _array(values.argmax(dim=1))

    def priorities(self, batch: TransitionBatch) -> Array:
        """`[B]` what `DqnAgent.update` computes, with one network as online and as target.

        Without noise, and with fractions from the policy's own generator. The two estimates serve
        the bootstrap too: where one network chooses and evaluates, double is max.
        """
        network, head, generator = self.network, self.network.head, self.torch_generator
        action = batch.action - self.first_action
        with torch.inference_mode():
            if self.has_noisy_layers:
                remove_noise(network)
            estimate = network.forward(
                batch.observation, samples=head.num_samples, generator=generator
            )
            next_estimate = network.forward(
                batch.next_observation, samples=head.num_target_samples, generator=generator
            )
            online = KnownValues(head.mean(next_estimate))  # asked for the next observation alone
            target = KnownValues(head.mean(estimate))  # asked for the observation alone
            next_policy, reward = build_bootstrap(self.config.bootstrap)(
                online, target, batch._replace(action=action), online.values
            )
            returns = head.target(next_estimate, next_policy, reward, batch.discount)
            priority = head.loss(estimate, action, returns).priority
        return _array(priority)

    def _tensor(self, leaf: Array) -> torch.Tensor:
        return torch.as_tensor(leaf, device=self.context.device)

    def _epsilon(self, num_envs: int) -> Array:
        """`[N]` probability of a random action now, one per environment."""
        exploration = self.config.exploration
        if exploration.kind == "noisy":
            return np.zeros(num_envs)
        if exploration.ladder_exponent is None:
            total = self.context.total_env_steps
            return np.full(num_envs, schedule_value(exploration.epsilon, self.env_steps, total))
        base = schedule_value(exploration.epsilon, 0, self.context.total_env_steps)
        place = self.context.streams / max(1, self.context.num_streams - 1)
        return np.asarray(base ** (1.0 + place * exploration.ladder_exponent))

    def _evaluation_epsilon(self, num_envs: int) -> Array:
        return np.full(num_envs, self.config.exploration.evaluation_epsilon)

    def initial_state(self, num_envs: int) -> Tree:
        """None: the family keeps no recurrent state."""
        del num_envs

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Nothing to reset."""
        del which
        return policy_state

    def set_progress(self, env_steps: int) -> None:
        """Note the global step count, on which epsilon depends."""
        self.env_steps = env_steps

    def set_weights(self, weights: Weights) -> None:
        """Copy published weights into the network."""
        self.network.load_state_dict(weights)

    def metrics(self) -> dict[str, float]:
        """What a report shows of acting."""
        if self.is_noisy:
            return {}
        return {"epsilon": float(self._epsilon(len(self.context.streams)).mean())}

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


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.cpu().numpy()
    return array
