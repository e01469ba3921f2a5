"""The weight of the entropy: fixed, or learned so that the entropy meets a target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
from gymnasium import spaces
from torch import nn

from rlplug.nn.optimizer import build_optimizer
from rlplug.ops.policy_losses import temperature_loss

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.sac.config import (
        AutomaticTemperature,
        DiscreteAutomaticTemperature,
        DiscreteSacConfig,
        SacConfig,
    )
    from rlplug.protocols import AgentContext, State


class Temperature(Protocol):
    """What the agent asks of either kind."""

    @property
    def value(self) -> Tensor:
        """`[]` now, without gradient."""
        ...

    def update(self, entropy: Tensor, importance_weight: Tensor) -> None:
        """One step, given the `[B]` entropies of the policy."""
        ...

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rate along its decay."""
        ...

    def metrics(self) -> dict[str, float]:
        """What a report shows."""
        ...

    def state_dict(self) -> State:
        """What updating changes."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


def build_temperature(config: SacConfig | DiscreteSacConfig, context: AgentContext) -> Temperature:
    """The temperature that `config` describes."""
    temperature = config.temperature
    if temperature.kind == "fixed":
        return ConstantTemperature(temperature.value, context.device)
    return LearnedTemperature(temperature, context)


class ConstantTemperature:
    """Never changes."""

    def __init__(self, value: float, device: str) -> None:
        self.value = torch.tensor(value, device=device)

    def update(self, entropy: Tensor, importance_weight: Tensor) -> None:
        """Nothing to do."""

    def set_progress(self, env_steps: int) -> None:
        """Nothing to do."""

    def metrics(self) -> dict[str, float]:
        """Nothing beside the value, which is a metric of each update."""
        return {}

    def state_dict(self) -> State:
        """Nothing changes: the value is the config's."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to load."""


class LearnedTemperature:
    """α = exp(log α), stepped along α (H − H̄) (eq. 18, Haarnoja et al. 2018, arXiv:1812.05905)."""

    def __init__(
        self,
        config: AutomaticTemperature | DiscreteAutomaticTemperature,
        context: AgentContext,
    ) -> None:
        start = torch.tensor(math.log(config.initial), device=context.device)
        self.log_temperature = nn.Parameter(start)
        self.target_entropy = target_entropy(config, context)
        self.optimizer = build_optimizer(
            config.optimizer, [self.log_temperature], total_env_steps=context.total_env_steps
        )
        (self._gradient,) = self.optimizer.gradients()

    @property
    def value(self) -> Tensor:
        """`[]` now, without gradient."""
        return self.log_temperature.detach().exp()

    @torch.no_grad()
    def update(self, entropy: Tensor, importance_weight: Tensor) -> None:
        """One step: up while the mean of the `[B]` entropies is below the target."""
        loss = temperature_loss(self.log_temperature, entropy, self.target_entropy)
        self._gradient.copy_((importance_weight * loss).mean())  # α is its own slope along log α
        self.optimizer.apply()

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rate along its decay."""
        self.optimizer.set_progress(env_steps)

    def metrics(self) -> dict[str, float]:
        """The learning rate."""
        return {"temperature_learning_rate": self.optimizer.learning_rate}

    def state_dict(self) -> State:
        """The logarithm that learns, and its optimizer."""
        return {
            "log_temperature": self.log_temperature.detach(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Write into the parameter that the optimizer holds: a new one would never be stepped."""
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        self.optimizer.load_state_dict(state["optimizer"])


def target_entropy(
    config: AutomaticTemperature | DiscreteAutomaticTemperature, context: AgentContext
) -> float:
    """H̄ in nats: −dim(A) for a Box (table 1), a share of log A for A discrete actions."""
    space = context.action_space
    if isinstance(space, spaces.Discrete):
        fraction: float = config.target_entropy_fraction  # type: ignore[union-attr]  # by the spec
        return fraction * math.log(int(space.n))
    configured: float | None = config.target_entropy  # type: ignore[union-attr]  # by the spec
    return -float(math.prod(space.shape or ())) if configured is None else configured
