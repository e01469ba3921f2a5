"""An environment that breaks its promises after some steps, each in its own way."""

from __future__ import annotations

import os
import signal
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Faulty(gymnasium.Env[Any, Any]):
    """Episodes of ten steps that reward action 1; something is wrong from step `after` on."""

    def __init__(self, fault: str = "none", after: int = 300) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.fault, self.after = fault, after
        self.steps = self.steps_of_episode = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps_of_episode = 0
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.steps_of_episode += 1
        observation: Any = self._observe()
        reward = float(action)
        if self.steps >= self.after:
            observation, reward = self._broken(observation, reward)
        return observation, reward, False, self.steps_of_episode == 10, {}

    def _observe(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def _broken(self, observation: Any, reward: float) -> Any:
        match self.fault:
            case "raises":
                raise ZeroDivisionError("no force left")
            case "exits":
                raise SystemExit(0)
            case "nan observation":
                observation[1] = np.nan
            case "nan reward":
                reward = np.nan
            case "shape":
                observation = np.zeros(3, np.float32)
            case "dtype":
                observation = observation.astype(np.float64)
            case "bounds":
                observation[0] = 1.25
            case "ctrl-c twice":
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
        return observation, reward
