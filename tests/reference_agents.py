"""Two small correct agents: linear Q-learning on a replay, and a linear actor-critic on rollouts.

Linear in the observation and a one, which makes a table of the one-hot probes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from reference_config import CriticConfig, LinearConfig, QConfig

from rlplug.data import Rollout, TransitionBatch, UpdateResult
from rlplug.ops.returns import gae, next_values
from rlplug.protocols import AgentContext, PolicyContext, PolicyStep
from rlplug.seeding import generator_state, set_generator_state
from rlplug.specs import AlgorithmConformance, AlgorithmSpec


def features(observation: Any) -> torch.Tensor:
    """`[..., D]` -> `[..., D + 1]`."""
    given = torch.as_tensor(np.asarray(observation), dtype=torch.float32)
    return torch.cat((given, torch.ones(*given.shape[:-1], 1)), dim=-1)


def initial(context: Any, rows: int) -> torch.Tensor:
    size = int(np.prod(context.observation_space.shape))
    return 0.1 * torch.randn(rows, size + 1, generator=context.seeds.torch("weights"))


class LinearPolicy:
    """Epsilon-greedy; the last row of the weights, where there is one more, is the value."""

    def __init__(
        self, config: LinearConfig, context: PolicyContext, weights: torch.Tensor | None = None
    ) -> None:
        self.config, self.context = config, context
        self.num_actions = int(context.action_space.n)  # type: ignore[attr-defined]
        rows = self.num_actions + isinstance(config, CriticConfig)
        self.weights = initial(context, rows) if weights is None else weights
        self.generator = context.seeds.numpy("exploration")

    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        values = (features(observation) @ self.weights.T).numpy()
        preferences = values[:, : self.num_actions]
        action = preferences.argmax(axis=1)
        if mode != "greedy":
            action = np.where(self.coins(len(action)), self.random_actions(len(action)), action)
        is_critic = isinstance(self.config, CriticConfig)
        value = values[:, -1] if is_critic else preferences.max(axis=1)
        return PolicyStep(action, policy_state, {"value": value})

    def coins(self, num_envs: int) -> Any:
        return self.generator.random(num_envs) < self.config.epsilon

    def random_actions(self, num_envs: int) -> Any:
        return self.generator.integers(self.num_actions, size=num_envs)

    def initial_state(self, num_envs: int) -> Any:
        return None

    def reset(self, policy_state: Any, which: Any) -> Any:
        return policy_state

    def set_progress(self, env_steps: int) -> None:
        pass

    def set_weights(self, weights: Any) -> None:
        self.weights.copy_(weights["linear"])

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"generator": generator_state(self.generator)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        set_generator_state(self.generator, state["generator"])


class LinearAgent:
    """What both share."""

    policy_class = LinearPolicy

    def __init__(self, config: Any, context: AgentContext) -> None:
        self.config, self.context = config, context
        self.num_actions = int(context.action_space.n)  # type: ignore[attr-defined]
        self.weights = initial(context, self.num_actions + isinstance(config, CriticConfig))
        self.num_updates = 0

    def policy(self, context: PolicyContext) -> LinearPolicy:
        return self.policy_class(self.config, context, self.weights)

    def policy_weights(self) -> dict[str, torch.Tensor]:
        return {"linear": self.weights}

    def set_progress(self, env_steps: int) -> None:
        pass

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights.copy_(state["weights"])
        self.num_updates = state["num_updates"]


class QAgent(LinearAgent):
    """Q-learning with a target that is copied every few updates."""

    config: QConfig

    def __init__(self, config: QConfig, context: AgentContext) -> None:
        super().__init__(config, context)
        self.target = self.weights.clone()

    def update(self, batch: TransitionBatch) -> UpdateResult:
        seen = features(batch.observation)
        rows = torch.arange(len(seen))
        error = self.returns(batch) - (seen @ self.weights.T)[rows, batch.action]
        step = self.config.learning_rate * (batch.importance_weight * error)[:, None] * seen
        self.weights.index_add_(0, batch.action, step / len(seen))
        self.num_updates += 1
        if self.num_updates % self.config.target_update_every_updates == 0:
            self.target.copy_(self.weights)
        return UpdateResult({"loss": error.square().mean()}, error.abs())

    def returns(self, batch: TransitionBatch) -> torch.Tensor:
        following = (features(batch.next_observation) @ self.target.T).amax(dim=1)
        return batch.reward + batch.discount * following

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"target": self.target}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.target.copy_(state["target"])


class CriticAgent(LinearAgent):
    """Policy gradient on preferences, and a value by regression on λ-returns."""

    config: CriticConfig

    def minibatches(self, rollouts: list[Rollout]) -> Any:
        for rollout in rollouts:
            rows = self.rows(rollout)
            for start in range(0, len(rows[0]), self.config.batch_size):
                yield tuple(part[start : start + self.config.batch_size] for part in rows)

    def rows(self, rollout: Rollout) -> tuple[torch.Tensor, ...]:
        """Features, actions, advantages and targets of the valid rows."""
        seen = features(rollout.observation)
        value = self.values(seen)
        over = torch.as_tensor(rollout.episode_over)
        following = next_values(
            value,
            self.values(features(rollout.next_observation)),
            torch.as_tensor(rollout.final_steps),
            self.values(features(rollout.final_observation)),
        )
        advantage = gae(
            torch.as_tensor(rollout.reward),
            self.discount(rollout),
            value,
            following,
            over,
            lambda_=0.9,
        )
        valid = torch.as_tensor(rollout.valid)
        parts = (seen, torch.as_tensor(rollout.action), advantage, advantage + value)
        return tuple(part[valid] for part in parts)

    def values(self, seen: torch.Tensor) -> torch.Tensor:
        return seen @ self.weights[-1]

    def discount(self, rollout: Rollout) -> torch.Tensor:
        return self.config.gamma * (~torch.as_tensor(rollout.terminated)).float()

    def update(self, batch: Any) -> UpdateResult:
        seen, action, advantage, target = batch
        preferences = seen @ self.weights[:-1].T
        chosen = torch.nn.functional.one_hot(action, self.num_actions).float()
        slope = (chosen - preferences.softmax(dim=1)) * advantage[:, None]
        error = target - self.values(seen)
        rate = self.config.learning_rate / len(seen)
        self.weights[:-1] += 0.1 * rate * slope.T @ seen
        self.weights[-1] += rate * error @ seen
        self.num_updates += 1
        return UpdateResult({"loss": error.square().mean()})


TABLE: dict[str, Any] = {
    "train.steps": 400,
    "train.warmup_env_steps": 100,
    "train.collect_env_steps": 50,
    "train.updates_per_env_step": 3,
}
Q = AlgorithmSpec(
    name="linear-q",
    summary="Linear Q-learning",
    paper="none",
    config="reference_config:QConfig",
    agent="reference_agents:QAgent",
    policy="reference_agents:LinearPolicy",
    observation_spaces=("box",),
    action_spaces=("discrete",),
    conformance="reference_agents:Q_CONFORMANCE",
)
Q_CONFORMANCE = AlgorithmConformance(
    learning=TABLE,
    without_effect={
        "replay.storage": "the same rows are drawn from memory, disk and device",
        "replay.frame_stack": "there are no images",
    },
)
CRITIC = Q.model_copy(
    update={
        "name": "linear-critic",
        "config": "reference_config:CriticConfig",
        "agent": "reference_agents:CriticAgent",
        "trainer": "on-policy",
        "conformance": "reference_agents:CRITIC_CONFORMANCE",
    }
)
CRITIC_CONFORMANCE = AlgorithmConformance(learning={"train.steps": 3_000})
