"""Stacks of noise in the shape of Atari's, so that a replay of them is large; tells its state."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np


class AtariShaped(gymnasium.Env[Any, Any]):
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(6)

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.stack = np.zeros((4, 84, 84), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.generator = np.random.default_rng(seed)
        self.stack = np.repeat(self._frame(), 4, axis=0)
        return self.stack, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.stack = np.concatenate([self.stack[1:], self._frame()])
        return self.stack, float(action == 0), False, False, {}

    def get_state(self) -> dict[str, Any]:
        return {"generator": self.generator.bit_generator.state, "stack": self.stack.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.stack = state["stack"]

    def _frame(self) -> Any:
        return self.generator.integers(0, 255, (1, 84, 84), np.uint8)
