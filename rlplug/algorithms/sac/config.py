"""Settings of soft actor-critic. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rlplug.config import Config, Count, Slot
from rlplug.nn.config import AutoEncoder, EncoderConfig, OptimizerConfig, PrecisionName, Sizes


class NetworkConfig(Config):
    """Actor and critics, each with an encoder of its own."""

    encoder: EncoderConfig = AutoEncoder(hidden_sizes=())
    """From observation to features; by default vectors pass through it."""
    hidden_sizes: Sizes = (256, 256)
    """Layers after the features: of the actor, and of each critic (Haarnoja et al. 2018,
    arXiv:1812.05905, table 1)."""
    precision: PrecisionName = "float32"
    """Of all layers but the last: `auto` takes bfloat16 where there are convolutions and the
    processor multiplies it by itself."""
    compile: bool = False
    """torch.compile for updates; on a GPU their kernels are captured in graphs too. Takes seconds
    to a minute to begin; meant for a GPU."""


class FixedTemperature(Config):
    """The same weight of the entropy for the whole run."""

    kind: Literal["fixed"] = "fixed"
    value: Annotated[float, Field(gt=0)] = 0.2
    """Value of one nat of entropy, in rewards."""


class AutomaticTemperature(Config):
    """Learned, so that the entropy meets a target (Haarnoja et al. 2018, section 5)."""

    kind: Literal["automatic"] = "automatic"
    initial: Annotated[float, Field(gt=0)] = 1.0
    """Value at the start, in rewards per nat."""
    target_entropy: float | None = None
    """Nats of the action in (-1, 1); None is minus the number of its dimensions (table 1)."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)


class DiscreteAutomaticTemperature(Config):
    """Learned, so that the entropy meets a share of the highest one."""

    kind: Literal["automatic"] = "automatic"
    initial: Annotated[float, Field(gt=0)] = 1.0
    """Value at the start, in rewards per nat."""
    target_entropy_fraction: Annotated[float, Field(ge=0, le=1)] = 0.98
    """Share of log A, the entropy of acting at random (Christodoulou 2019, arXiv:1910.07207)."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)


class SoftConfig(Config):
    """What both kinds of actions share."""

    network: NetworkConfig = NetworkConfig()
    num_critics: Annotated[Count, Field(gt=0)] = 2
    """Critics, of which the lowest value counts."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4)
    batch_size: Annotated[Count, Field(gt=0)] = 256
    """Transitions per update."""
    target_update_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Weight of the critics in each step of their target networks, after every update."""
    random_env_steps: Annotated[Count, Field(ge=0)] = 1_000
    """Environment steps of the run that act uniformly at random."""


class SacConfig(SoftConfig):
    """The `agent` section of `sac`."""

    temperature: Annotated[
        Annotated[AutomaticTemperature | FixedTemperature, Field(discriminator="kind")], Slot
    ] = AutomaticTemperature()
    """Weight of the entropy."""


class DiscreteSacConfig(SoftConfig):
    """The `agent` section of `sac-discrete`."""

    temperature: Annotated[
        Annotated[DiscreteAutomaticTemperature | FixedTemperature, Field(discriminator="kind")],
        Slot,
    ] = DiscreteAutomaticTemperature()
    """Weight of the entropy."""
