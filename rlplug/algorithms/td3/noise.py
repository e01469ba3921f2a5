"""Exploration noise: one process for each environment and dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rlplug.ops.schedules import schedule_value
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.algorithms.td3.config import NoiseConfig
    from rlplug.data import Array
    from rlplug.protocols import State


class ActionNoise:
    """xₜ = (1 − θ) xₜ₋₁ + σ N(0, 1), from 0 at the start of each episode.

    An Ornstein-Uhlenbeck process in steps of one; at θ = 1 nothing carries over, and it is Gaussian
    noise. In the long run its standard deviation is σ / √(1 − (1 − θ)²).

    Args:
        config: σ, a schedule, and θ.
        shape: `(N, D)` environments and dimensions of an action.
        total_env_steps: Length of the run, for the schedule.
        generator: Draws, one for each environment and dimension.
    """

    def __init__(
        self,
        config: NoiseConfig,
        shape: tuple[int, int],
        total_env_steps: int,
        generator: np.random.Generator,
    ) -> None:
        self.value = np.zeros(shape, np.float32)
        self._config = config
        self._kept = 0.0 if config.kind == "gaussian" else 1.0 - config.reversion_rate
        self._total_env_steps = total_env_steps
        self._generator = generator

    def draw(self, env_steps: int) -> Array:
        """`[N, D]` for the next action; the bounds of the Box are at −1 and 1."""
        normal = self._generator.standard_normal(self.value.shape, np.float32)
        self.value = self._kept * self.value + self.scale(env_steps) * normal
        return self.value

    def reset(self, which: Array) -> None:
        """Start new episodes where `which` `[N]` bool is true."""
        self.value = np.where(which[:, np.newaxis], np.float32(0.0), self.value)

    def scale(self, env_steps: int) -> float:
        """σ now."""
        return schedule_value(self._config.scale, env_steps, self._total_env_steps)

    def state_dict(self) -> State:
        """Generator and process."""
        return {"generator": generator_state(self._generator), "value": self.value}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        set_generator_state(self._generator, state["generator"])
        self.value = np.array(state["value"], np.float32)
