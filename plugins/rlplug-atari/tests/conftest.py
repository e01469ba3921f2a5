"""What several tests play with."""

from __future__ import annotations

import numpy as np
import pytest

from rlplug.protocols import PolicyStep

pytest_plugins = ["rlplug.testing.plugin"]


class Script:
    """Plays the same random actions every time."""

    def __init__(self, num_envs, num_actions):
        self.rng = np.random.default_rng(0)
        self.draw = lambda: self.rng.integers(0, num_actions, num_envs)

    def act(self, observation, policy_state, *, mode):
        return PolicyStep(self.draw(), None, {})

    def initial_state(self, num_envs):
        return None

    def reset(self, policy_state, which):
        return None

    def set_progress(self, env_steps):
        pass


@pytest.fixture
def random_policy():
    """A policy for `num_envs` environments of `num_actions` actions."""
    return Script
