"""Linear Q-learning: q(s, a) = wₐ·(s, 1), moved along its TD error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rlplug.data import Array, TransitionBatch, UpdateResult, Weights
from rlplug.protocols import AgentContext, Mode, PolicyContext, PolicyStep, State
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug_toy.config import ToyQConfig


def initial_weights(context: AgentContext | PolicyContext) -> torch.Tensor:
    """`[A, D + 1]` zeros."""
    size = int(np.prod(context.observation_space.shape or ()))
    return torch.zeros(int(context.action_space.n), size + 1, device=context.device)  # type: ignore[attr-defined]  # Discrete, by the spec


def q_values(weights: torch.Tensor, observation: torch.Tensor) -> torch.Tensor:
    """`[B, A]` from `[B, *obs]`."""
    features = observation.flatten(start_dim=1).float()
    return features @ weights[:, :-1].T + weights[:, -1]


class ToyQPolicy:
    """Epsilon-greedy over linear action values."""

    def __init__(
        self, config: ToyQConfig, context: PolicyContext, weights: torch.Tensor | None = None
    ) -> None:
        self.config = config
        self.weights = initial_weights(context) if weights is None else weights
        self.generator = context.seeds.numpy("exploration")

    def act(self, observation: Any, policy_state: Any, *, mode: Mode) -> PolicyStep:
        """`[N]` actions."""
        values = q_values(self.weights, torch.as_tensor(observation, device=self.weights.device))
        action = values.argmax(dim=1).cpu().numpy()
        if mode != "greedy":
            is_random = self.generator.random(len(action)) < self.config.epsilon
            drawn = self.generator.integers(len(self.weights), size=len(action))
            action = np.where(is_random, drawn, action)
        return PolicyStep(action, policy_state, {})

    def initial_state(self, num_envs: int) -> None:
        """None: there is no recurrent state."""

    def reset(self, policy_state: Any, which: Array) -> Any:
        """Nothing to reset."""
        return policy_state

    def set_progress(self, env_steps: int) -> None:
        """Epsilon is constant."""

    def set_weights(self, weights: Weights) -> None:
        """Copy the learner's weights."""
        self.weights.copy_(weights["linear"])

    def metrics(self) -> dict[str, float]:
        """Epsilon."""
        return {"epsilon": self.config.epsilon}

    def state_dict(self) -> State:
        """The generator."""
        return {"generator": generator_state(self.generator)}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        set_generator_state(self.generator, state["generator"])


class ToyQAgent:
    """The learner."""

    def __init__(self, config: ToyQConfig, context: AgentContext) -> None:
        self.config = config
        self.weights = initial_weights(context)

    def update(self, batch: TransitionBatch) -> UpdateResult:
        """One step along the TD error of `[B]` transitions."""
        rows = torch.arange(len(batch.reward), device=self.weights.device)
        next_value = q_values(self.weights, batch.next_observation).amax(dim=1)
        target = batch.reward + batch.discount * next_value
        error = target - q_values(self.weights, batch.observation)[rows, batch.action]
        features = batch.observation.flatten(start_dim=1).float()
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        step = (batch.importance_weight * error)[:, None] * features
        self.weights.index_add_(0, batch.action, step, alpha=self.config.learning_rate / len(rows))
        return UpdateResult({"loss": error.square().mean()}, error.abs())

    def policy(self, context: PolicyContext) -> ToyQPolicy:
        """Acts on the learner's own weights."""
        return ToyQPolicy(self.config, context, self.weights)

    def policy_weights(self) -> Weights:
        """The weights."""
        return {"linear": self.weights}

    def set_progress(self, env_steps: int) -> None:
        """The learning rate is constant."""

    def metrics(self) -> dict[str, float]:
        """Nothing beside the loss."""
        return {}

    def state_dict(self) -> State:
        """The weights."""
        return {"linear": self.weights}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.weights.copy_(state["linear"])
