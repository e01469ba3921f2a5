"""Exploration noise, one process per environment and dimension: the noise slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

import numpy as np

from rlplug.ops.schedules import schedule_value
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.algorithms.td3.config import GaussianNoise, NoiseConfig, OrnsteinUhlenbeckNoise
    from rlplug.data import Array
    from rlplug.protocols import State


class Noise(Protocol):
    """Draws for N environments; the bounds of the Box are at −1 and 1."""

    def draw(self, env_steps: int) -> Array:
        """`[N, D]` float32 for the next action of each environment."""
        ...

    def reset(self, which: Array) -> None:
        """Start new episodes where `which` `[N]` bool is true."""
        ...

    def scale(self, env_steps: int) -> float:
        """Standard deviation of a draw now."""
        ...

    def state_dict(self) -> State:
        """Generator, and the process where there is one."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


def build_noise(
    config: NoiseConfig,
    shape: tuple[int, int],
    *,
    total_env_steps: int,
    generator: np.random.Generator,
) -> Noise:
    """Noise of `[N, D]`."""
    match config.kind:
        case "gaussian":
            return Gaussian(config, shape, total_env_steps, generator)
        case "ornstein-uhlenbeck":
            return OrnsteinUhlenbeck(config, shape, total_env_steps, generator)
    assert_never(config.kind)


class Gaussian:
    """Independent draws."""

    def __init__(
        self,
        config: GaussianNoise | OrnsteinUhlenbeckNoise,
        shape: tuple[int, int],
        total_env_steps: int,
        generator: np.random.Generator,
    ) -> None:
        self._scale = config.scale
        self._shape = shape
        self._total_env_steps = total_env_steps
        self._generator = generator

    def draw(self, env_steps: int) -> Array:
        """`[N, D]`."""
        normal = self._generator.standard_normal(self._shape, np.float32)
        return normal * np.float32(self.scale(env_steps))

    def reset(self, which: Array) -> None:
        """Nothing carries over."""

    def scale(self, env_steps: int) -> float:
        """On the schedule."""
        return schedule_value(self._scale, env_steps, self._total_env_steps)

    def state_dict(self) -> State:
        """The generator."""
        return {"generator": generator_state(self._generator)}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        set_generator_state(self._generator, state["generator"])
