"""CartPole without velocities: a task for memory."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import TimeLimit

from rlplug.data import Array

_POSITIONS = [0, 2]
"""Of the cart and of the pole; between them are their velocities."""


class CartPolePositions(gymnasium.ObservationWrapper[Array, int | Array, Array]):
    """Gymnasium's CartPole, observed as `[position of the cart, angle of the pole]`."""

    def __init__(self, env: CartPoleEnv) -> None:
        super().__init__(env)
        whole: Any = env.observation_space
        self.observation_space = gymnasium.spaces.Box(
            whole.low[_POSITIONS], whole.high[_POSITIONS], dtype=np.float32
        )

    def observation(self, observation: Array) -> Array:
        """`[4]` -> `[2]`."""
        return observation[_POSITIONS]


def make_cartpole_positions(*, max_episode_steps: int = 500, **kwargs: Any) -> TimeLimit[Any, Any]:
    """Build one environment; `kwargs` are those of Gymnasium's `CartPoleEnv`."""
    return TimeLimit(CartPolePositions(CartPoleEnv(**kwargs)), max_episode_steps)
