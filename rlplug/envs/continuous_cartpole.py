"""CartPole with a continuous force."""

from __future__ import annotations

from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import TimeLimit

from rlplug.data import Array


class ContinuousCartPole(gymnasium.ActionWrapper[Array, Array, int | Array]):
    """Gymnasium's CartPole, pushed with `action[0]` times its full force; clipped to [-1, 1]."""

    def __init__(self, env: CartPoleEnv) -> None:
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._full_force = env.force_mag

    def action(self, action: Array) -> int:
        """Scale the force, and push right; a negative force pushes left."""
        cartpole = cast("CartPoleEnv", self.unwrapped)
        cartpole.force_mag = self._full_force * min(max(float(action[0]), -1.0), 1.0)
        return 1


def make_continuous_cartpole(*, max_episode_steps: int = 500, **kwargs: Any) -> TimeLimit[Any, Any]:
    """Build one environment; `kwargs` are those of Gymnasium's `CartPoleEnv`."""
    return TimeLimit(ContinuousCartPole(CartPoleEnv(**kwargs)), max_episode_steps)
