"""An environment that pays what it is told to, for tests of evaluation sets."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Payday(gymnasium.Env[Any, Any]):
    """Pays `wage` for each of five steps."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, currency: str, wage: float = 1.0) -> None:
        assert currency == "beans"
        self.wage, self.steps = wage, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.zeros(1, np.float32), self.wage, self.steps == 5, False, {}
