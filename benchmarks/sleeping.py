"""An environment whose steps wait, as for a simulator elsewhere."""

from __future__ import annotations

import time
from typing import Any

import gymnasium


class Sleeping(gymnasium.Wrapper[Any, Any, Any, Any]):
    """CartPole, each step of which takes `seconds` and no core."""

    def __init__(self, seconds: float = 0.01) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.seconds = seconds

    def step(self, action: Any) -> Any:
        """Wait, then step."""
        time.sleep(self.seconds)
        return self.env.step(action)
