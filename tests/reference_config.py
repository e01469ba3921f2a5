"""Settings of the reference agents; no torch here."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from rlplug.config import Config, Count


class LinearConfig(Config):
    """The `agent` section of the linear agents."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.5
    """Step size."""
    batch_size: Annotated[Count, Field(gt=0)] = 16
    """Transitions per update."""
    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Probability of a random action while training."""


class QConfig(LinearConfig):
    """Settings of linear Q-learning."""

    target_update_every_updates: Annotated[Count, Field(gt=0)] = 4
    """Updates between two copies into the target."""


class CriticConfig(LinearConfig):
    """Settings of the linear actor-critic."""

    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Discount per environment step."""


class UnusedConfig(QConfig):
    """With a setting that nobody reads."""

    temperature: float = 1.0
    """Read by nobody."""


class GrowingConfig(QConfig):
    """With a setting that is another one each time it is read."""

    margin: Annotated[float, AfterValidator(lambda value: value + 1.0)] = 1.0
    """Grows."""
