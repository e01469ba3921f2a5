"""Settings of the on-policy family: what is learned from a rollout, and how. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rlplug.config import Config, ConstantSchedule, Count, Schedule, Slot
from rlplug.nn.config import AutoEncoder, EncoderConfig, OptimizerConfig, PrecisionName, Sizes
from rlplug.replay.config import RewardTransform
from rlplug.specs import ImportString


class ClippedObjective(Config):
    """PPO's surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7)."""

    kind: Literal["clipped"] = "clipped"
    clip_ratio: Schedule = ConstantSchedule(value=0.2)
    """How far the probability ratio may move from 1 before its gradient stops (table 3)."""


class PolicyGradientObjective(Config):
    """−log π(a|x) A, as REINFORCE and A2C: meant for one epoch over each rollout."""

    kind: Literal["policy-gradient"] = "policy-gradient"


ObjectiveConfig = Annotated[
    Annotated[ClippedObjective | PolicyGradientObjective, Field(discriminator="kind")], Slot
]


class GaeAdvantage(Config):
    """Generalised advantage estimates (Schulman et al. 2016, arXiv:1506.02438)."""

    kind: Literal["gae"] = "gae"
    lambda_: Annotated[float, Field(ge=0, le=1)] = 0.95
    """0 is the one-step TD error, 1 the Monte-Carlo return less the value."""


class ReturnsAdvantage(Config):
    """Discounted returns of whole episodes, without a value function."""

    kind: Literal["returns"] = "returns"


class VTraceAdvantage(Config):
    """For data of older policies: V-trace (Espeholt et al. 2018, arXiv:1802.01561, section 4.1).

    On fresh data it is `gae` with the same lambda.
    """

    kind: Literal["vtrace"] = "vtrace"
    lambda_: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Shortens the traces (remark 2); 1 is the paper's."""
    rho_clip: Annotated[float, Field(gt=0)] = 1.0
    """Most that a probability ratio weighs in an error (rho bar): below it the values are those of
    a policy between the one that acted and the one that learns (section 4.1; 1 in section 5)."""
    trace_clip: Annotated[float, Field(gt=0)] = 1.0
    """Most that a ratio weighs in what later errors hand back (c bar); no more than rho_clip."""

    @model_validator(mode="after")
    def _traces_are_clipped_no_later(self) -> VTraceAdvantage:
        if self.trace_clip > self.rho_clip:
            msg = (
                f"trace_clip {self.trace_clip} exceeds rho_clip {self.rho_clip}, and V-trace "
                "is defined for rho_clip >= trace_clip; lower trace_clip or raise rho_clip"
            )
            raise ValueError(msg)
        return self


AdvantageConfig = Annotated[
    Annotated[GaeAdvantage | ReturnsAdvantage | VTraceAdvantage, Field(discriminator="kind")], Slot
]


class NotRecurrent(Config):
    """The policy sees the present observation alone."""

    kind: Literal["none"] = "none"


class Lstm(Config):
    """A long short-term memory between the encoder and the layers."""

    kind: Literal["lstm"] = "lstm"
    hidden_size: Annotated[Count, Field(gt=0)] = 64
    """Units."""


class Gru(Config):
    """Gated recurrent units between the encoder and the layers."""

    kind: Literal["gru"] = "gru"
    hidden_size: Annotated[Count, Field(gt=0)] = 64
    """Units."""


RecurrentConfig = Annotated[Annotated[NotRecurrent | Lstm | Gru, Field(discriminator="kind")], Slot]


class NetworkConfig(Config):
    """Encoder, recurrent layer, then layers and a head each for the policy and the value.

    Weights start orthogonal, those of the policy's head a hundredth of the usual size. Encoders
    with residual blocks keep their own initial values.
    """

    encoder: EncoderConfig = AutoEncoder(hidden_sizes=())
    """From observation to features; the default hands vectors on as they are."""
    trunk_sizes: Sizes = ()
    """Layers that belong to the encoder and are shared as it is: (512,) makes Atari's network."""
    share_encoder: bool = True
    """One encoder for policy and value; else each has its own."""
    recurrent: RecurrentConfig = NotRecurrent()
    """What the network remembers from step to step."""
    hidden_sizes: Sizes = (64, 64)
    """Layers after that, once for the policy and once for the value."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Of the trunk's and of these layers."""
    log_std: Literal["free", "state"] = "free"
    """Of Gaussian actions: learned beside the network, or its output."""
    initial_log_std: float = 0.0
    """Where it starts; a deviation of 1 is half the width of a bounded action."""
    precision: PrecisionName = "float32"
    """Of all layers but the recurrent and the last: `auto` takes bfloat16 where there are
    convolutions and the processor multiplies it by itself."""
    compile: bool = False
    """torch.compile for updates; on a GPU their kernels are captured in graphs too. Takes seconds
    to a minute to begin; meant for a GPU."""

    @model_validator(mode="after")
    def _recurrent_state_is_shared(self) -> NetworkConfig:
        if self.recurrent.kind != "none" and not self.share_encoder:
            msg = (
                f"recurrent {self.recurrent.kind!r} serves policy and value at once and cannot "
                "have two encoders below it; set share_encoder to true, or recurrent to none"
            )
            raise ValueError(msg)
        return self


class BonusConfig(Config):
    """Intrinsic rewards: what an object `bonus(rollout) -> [T, N]` adds to the environment's."""

    entry: ImportString
    """`package.module:Bonus`, called with the agent's context first
    (`rlplug.algorithms.ppo.bonus.Bonus`)."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the bonus."""
    weight: float = 1.0
    """Factor of the bonus; the environment's reward has 1."""


class PpoConfig(Config):
    """The `agent` section of the on-policy family."""

    objective: ObjectiveConfig = ClippedObjective()
    """What the policy improves."""
    advantage: AdvantageConfig = GaeAdvantage()
    """How good an action was."""
    bonus: BonusConfig | None = None
    """Intrinsic rewards; None for the environment's alone."""
    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig(
        learning_rate=3e-4, arguments={"eps": 1e-5}, max_gradient_norm=0.5
    )
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Discount per environment step."""
    epochs: Annotated[Count, Field(gt=0)] = 10
    """Passes over each rollout."""
    batch_size: Annotated[Count, Field(gt=0)] | None = 64
    """Most transitions of a minibatch; those of a rollout are dealt out evenly. A recurrent
    network is dealt whole environments, at least one to each minibatch. None takes all at once."""
    target_kl: Annotated[float, Field(gt=0)] | None = None
    """Epochs end where the mean approximate KL of one exceeds it; None never."""
    normalize_advantages: Literal["minibatch", "rollout", "off"] = "minibatch"
    """Over which transitions advantages are brought to mean 0 and deviation 1, for the policy's
    loss alone."""
    entropy_coefficient: Schedule = ConstantSchedule(value=0.0)
    """Weight of the policy's entropy, which is to stay high."""
    value_coefficient: Annotated[float, Field(gt=0)] = 0.5
    """Weight of the squared error of the value."""
    value_clip_range: Annotated[float, Field(gt=0)] | None = None
    """How far a value may move from the rollout's before its gradient stops; None anywhere."""
    normalize_observations: bool = False
    """Bring floats of the observation to mean 0 and deviation 1, by running statistics."""
    normalize_rewards: bool = False
    """Divide rewards by the running deviation of the discounted return."""
    reward: RewardTransform = RewardTransform()
    """Transform of each reward, after it is normalised."""

    @model_validator(mode="after")
    def _mix_has_a_meaning(self) -> PpoConfig:
        if self.target_kl is not None and self.objective.kind != "clipped":
            msg = (
                f"target_kl is {self.target_kl}, but objective {self.objective.kind!r} measures no "
                "divergence; set target_kl to None, or objective to clipped"
            )
            raise ValueError(msg)
        if self.value_clip_range is not None and self.advantage.kind == "returns":
            msg = (
                "value_clip_range is set, but advantage 'returns' has no value function; set "
                "value_clip_range to None, or advantage to gae"
            )
            raise ValueError(msg)
        return self
