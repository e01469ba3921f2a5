"""A corridor: the observation is the place in [0, 1], the goal its right end."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env[np.ndarray, np.int64]):
    """`length` steps from the left end to the goal; action 1 goes right, 0 left."""

    def __init__(self, length: int = 5, render_mode: str | None = None) -> None:
        self.length = length
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.place = 0
        self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start at the left end."""
        super().reset(seed=seed)
        self.place = self.steps = 0
        return self._observation(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Walk one step."""
        self.place = min(max(self.place + (1 if action == 1 else -1), 0), self.length)
        self.steps += 1
        arrived = self.place == self.length
        return self._observation(), -0.1 + arrived, arrived, self.steps >= 50, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.place / self.length], np.float32)
