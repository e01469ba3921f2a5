"""Settings of the training loops. No torch here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlplug.config import Config, Count


class OffPolicyConfig(Config):
    """The `train` section of off-policy algorithms."""

    steps: Annotated[Count, Field(gt=0)] = 100_000
    """Environment steps of the run, over all environments; rounded up to whole vector steps."""
    collect_env_steps: Annotated[Count, Field(gt=0)] = 4
    """Environment steps collected between two rounds of updates."""
    warmup_env_steps: Annotated[Count, Field(ge=0)] = 1_000
    """Environment steps before the first update."""
    updates_per_env_step: Annotated[float, Field(gt=0)] = 0.25
    """Optimizer steps per environment step after the warm-up; what is due follows the steps."""


class OnPolicyConfig(Config):
    """The `train` section of on-policy algorithms."""

    steps: Annotated[Count, Field(gt=0)] = 100_000
    """Environment steps of the run, over all environments; rounded up to whole vector steps."""
    rollout_length: Annotated[Count, Field(gt=0)] = 128
    """Steps of each environment per iteration; the last rollout is as short as the run asks."""
    whole_episodes: bool = False
    """Learn from finished episodes alone: an iteration collects rollouts until every environment
    has ended an episode, and keeps what is unfinished for the next."""
