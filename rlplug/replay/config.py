"""Settings of the replay. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rlplug.config import Config, Count, LinearSchedule, Schedule, Slot


class UniformSampler(Config):
    """Every stored transition is equally likely."""

    kind: Literal["uniform"] = "uniform"


class PrioritizedSampler(Config):
    """Proportional prioritisation (Schaul et al. 2016, arXiv:1511.05952, section 3.3)."""

    kind: Literal["prioritized"] = "prioritized"
    priority_exponent: Annotated[float, Field(ge=0)] = 0.6
    """How strongly priorities bend the sampling (paper's alpha); 0 is uniform."""
    importance_exponent: Schedule = LinearSchedule(start=0.4, end=1.0)
    """How strongly the bias is corrected (paper's beta), over environment steps."""
    priority_floor: Annotated[float, Field(gt=0)] = 1e-6
    """Added to each priority, so that no transition can vanish."""
    uniform_mix: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of draws made uniformly."""
    new_priority: Literal["highest", "policy"] = "highest"
    """Of a transition that was never drawn: the highest so far, or the error that the policy that
    made it computed (Ape-X, Horgan et al. 2018, arXiv:1803.00933)."""


class RewardTransform(Config):
    """What learning sees of the raw reward: scaled first, then clipped."""

    scale: float = 1.0
    """Factor."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Rewards are clipped to [-clip, clip]; None does not clip."""


class ReplayConfig(Config):
    """The `replay` section of off-policy algorithms."""

    capacity: Annotated[Count, Field(gt=0)] = 100_000
    """Transitions kept over all environments; the oldest are overwritten."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Discount per environment step."""
    n_step: Annotated[Count, Field(gt=0)] = 1
    """Horizon of the return; windows never cross the end of an episode."""
    sampler: Annotated[
        Annotated[UniformSampler | PrioritizedSampler, Field(discriminator="kind")], Slot
    ] = UniformSampler()
    """How transitions are drawn."""
    reward: RewardTransform = RewardTransform()
    """Transform of each raw reward before it is summed."""
    frame_stack: Literal["auto", "unique", "whole"] = "auto"
    """Stacked images: `unique` stores every frame once, `whole` the stack as it is; auto is unique
    where the observation is a stack of images."""
    storage: Literal["memory", "disk", "device"] = "memory"
    """`disk` is a memory-mapped file in the run folder, `device` tensors beside the network."""
