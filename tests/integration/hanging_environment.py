"""CartPole with a step that never ends."""

from __future__ import annotations

import time
from typing import Any

import gymnasium


class Hanging(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Does not come back from a step of its own count."""

    def __init__(self, after: int) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.after = after
        self.steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps > self.after:
            hang()
        return self.env.step(action)


def hang() -> None:
    while True:
        time.sleep(0.01)
