"""A wrapper that sends its own process a signal, once, when it comes to a step."""

from __future__ import annotations

import os
from typing import Any

import gymnasium

MOMENT = "INTERRUPT"
"""Environment variable: `2 at 150` sends signal 2 at step 150."""


class Interrupting(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        number, _, step = os.environ.get(MOMENT, "").partition(" at ")
        if number and self.steps == int(step):
            del os.environ[MOMENT]
            os.kill(os.getpid(), int(number))
        return self.env.step(action)
