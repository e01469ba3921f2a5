"""Train on an environment that is a class in this file: nothing is registered anywhere.

python examples/own_environment.py [ENV_STEPS]
"""

import sys

import gymnasium
import numpy as np
from gymnasium import spaces

import rlplug


class Catch(gymnasium.Env):
    """A ball falls through a grid; move the paddle below it. +1 for a catch, -1 for a miss."""

    def __init__(self, width=7, height=6):
        self.width, self.height = width, height
        self.observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Discrete(3)  # left, stay, right

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.ball, self.paddle = self.np_random.integers(self.width, size=2)
        self.row = 0
        return self._observation(), {}

    def step(self, action):
        self.paddle = min(max(self.paddle + action - 1, 0), self.width - 1)
        self.row += 1
        terminated = self.row == self.height
        reward = (1.0 if self.ball == self.paddle else -1.0) if terminated else 0.0
        return self._observation(), reward, terminated, False, {}

    def _observation(self):
        across, down = self.width - 1, self.height
        place = self.ball / across, self.row / down, self.paddle / across
        return np.array(place, np.float32)


if __name__ == "__main__":
    env_steps = float(sys.argv[1]) if sys.argv[1:] else 5_000
    result = rlplug.train(
        "double-dqn",
        Catch,
        steps=env_steps,
        env={"kwargs": {"width": 5}},  # arguments of Catch
        train={"updates_per_env_step": 0.5, "warmup_env_steps": 200},
    )
    print(f"mean return {result.evaluation.mean_return:.2f}; the best there is: 1")
