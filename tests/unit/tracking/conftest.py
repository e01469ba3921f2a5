from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from rlplug.data import EpisodeStats


class Report(NamedTuple):
    mean_return: float = 120.4
    std_return: float = 8.1
    episodes: int = 10
    normalized_score: float | None = None
    sets: dict[str, Any] = MappingProxyType({})


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def report():
    return Report()


@pytest.fixture
def episode():
    def build(episode_return=87.3, env_steps=0):
        return EpisodeStats(0, episode_return, 87, env_steps)

    return build


@pytest.fixture
def metrics():
    """As the training loop reports them."""
    return {
        "loss": 0.0312, "q_value": 12.3456, "epsilon": 0.05, "episode_return": 87.3,
        "episode_length": 87.3, "episodes": 20, "updates": 2750, "updates_per_env_step": 0.25,
        "steps_per_second": 3412.2, "training_seconds": 3.5,
    }  # fmt: skip
