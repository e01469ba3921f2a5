"""Settings of linear Q-learning."""

from typing import Annotated

from pydantic import Field

from rlplug.config import Config, Count


class ToyQConfig(Config):
    """The `agent` section of toy-q."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Step size."""
    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Probability of a random action while training."""
    batch_size: Annotated[Count, Field(gt=0)] = 32
    """Transitions per update."""
