"""Settings of deterministic actor-critic. No torch here.

The defaults are TD3's; `spec.py` has DDPG's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rlplug.config import Config, ConstantSchedule, Count, Schedule, Slot
from rlplug.nn.config import AutoEncoder, EncoderConfig, OptimizerConfig, PrecisionName, Sizes


class NetworkConfig(Config):
    """Actor and critics, each with an encoder of its own."""

    encoder: EncoderConfig = AutoEncoder(hidden_sizes=())
    """From observation to features; by default vectors pass through it."""
    hidden_sizes: Sizes = (256, 256)
    """Layers after the features: of the actor, and of each critic (the papers have 400, 300)."""
    precision: PrecisionName = "float32"
    """Of all layers but the last: `auto` takes bfloat16 where there are convolutions and the
    processor multiplies it by itself."""
    compile: bool = False
    """torch.compile for updates; on a GPU their kernels are captured in graphs too. Takes seconds
    to a minute to begin; meant for a GPU."""


class GaussianNoise(Config):
    """Independent at every step (Fujimoto et al. 2018, arXiv:1802.09477, section 6.1)."""

    kind: Literal["gaussian"] = "gaussian"
    scale: Schedule = ConstantSchedule(value=0.1)
    """Standard deviation in every dimension of the Box; its bounds are at -1 and 1."""


class OrnsteinUhlenbeckNoise(Config):
    """Correlated over time (Lillicrap et al. 2016, arXiv:1509.02971, section 7).

    x <- x - reversion_rate * x + scale * normal draw, from 0 at the start of each episode.
    """

    kind: Literal["ornstein-uhlenbeck"] = "ornstein-uhlenbeck"
    scale: Schedule = ConstantSchedule(value=0.2)
    """Standard deviation of each draw (the paper's sigma); the bounds of the Box are at -1, 1."""
    reversion_rate: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Share of the noise that a step takes away (the paper's theta); 1 is Gaussian noise."""


NoiseConfig = Annotated[
    Annotated[GaussianNoise | OrnsteinUhlenbeckNoise, Field(discriminator="kind")], Slot
]


class TargetNoise(Config):
    """Noise on the target policy's action, so that the target is smooth in it (section 5.3)."""

    scale: Annotated[float, Field(gt=0)] = 0.2
    """Standard deviation; the bounds of the Box are at -1 and 1."""
    clip: Annotated[float, Field(gt=0)] = 0.5
    """Draws are clipped to [-clip, clip]."""


class Td3Config(Config):
    """The `agent` section of `td3` and `ddpg`."""

    network: NetworkConfig = NetworkConfig()
    num_critics: Literal[1, 2] = 2
    """Critics; of two, the lower value counts (eq. 10)."""
    actor_update_every_updates: Annotated[Count, Field(gt=0)] = 2
    """Updates of the critics for each one of the actor and of all target networks."""
    target_noise: TargetNoise | None = TargetNoise()
    """Smooths the target over actions; None takes the target policy's own."""
    exploration: NoiseConfig = GaussianNoise()
    """Noise on actions while training."""
    random_env_steps: Annotated[Count, Field(ge=0)] = 1_000
    """Environment steps of the run that act uniformly at random."""
    actor_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3)
    critic_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3)
    batch_size: Annotated[Count, Field(gt=0)] = 256
    """Transitions per update."""
    target_update_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Weight of the online networks in each step of their targets."""
