"""Settings of the value family: four slots, a network and an optimizer. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rlplug.config import Config, Count, LinearSchedule, Schedule, Slot
from rlplug.nn.config import (
    AutoEncoder,
    EncoderConfig,
    NoisyConfig,
    OptimizerConfig,
    PrecisionName,
    Sizes,
)

_HEAD_NAMES = {"c51": "categorical", "qr": "quantile", "iqn": "implicit-quantile"}


def _head_by_short_name(value: Any) -> Any:
    """The papers' short names choose heads too."""
    return _HEAD_NAMES.get(value, value) if isinstance(value, str) else value


class ScalarHead(Config):
    """One expected return per action."""

    kind: Literal["scalar"] = "scalar"
    huber_threshold: Annotated[float, Field(gt=0)] | None = 1.0
    """Errors beyond it cost linearly (Mnih et al. 2015 clip at 1); None is the squared error."""


class CategoricalHead(Config):
    """Probabilities of fixed returns (C51, Bellemare et al. 2017, arXiv:1707.06887)."""

    kind: Literal["categorical"] = "categorical"
    num_atoms: Annotated[Count, Field(ge=2)] = 51
    """Returns in the support."""
    min_return: float = -10.0
    """Lowest return of the support, after the reward transform."""
    max_return: float = 10.0
    """Highest return of the support."""

    @model_validator(mode="after")
    def _ordered(self) -> CategoricalHead:
        if self.min_return >= self.max_return:
            msg = f"min_return {self.min_return} must be below max_return {self.max_return}"
            raise ValueError(msg)
        return self


class QuantileHead(Config):
    """Quantiles of the return at fixed fractions (QR-DQN, Dabney et al. 2018, arXiv:1710.10044)."""

    kind: Literal["quantile"] = "quantile"
    num_quantiles: Annotated[Count, Field(ge=1)] = 200
    """Quantiles per action (section 5)."""
    huber_threshold: Annotated[float, Field(ge=0)] = 1.0
    """Kappa of the quantile Huber loss (eq. 10); 0 is the plain quantile loss."""


class ImplicitQuantileHead(Config):
    """Quantiles at sampled fractions (IQN, Dabney et al. 2018, arXiv:1806.06923)."""

    kind: Literal["implicit-quantile"] = "implicit-quantile"
    num_cosines: Annotated[Count, Field(ge=1)] = 64
    """Cosines that embed a fraction (eq. 4)."""
    num_samples: Annotated[Count, Field(ge=1)] = 64
    """Fractions of the online estimate (N)."""
    num_target_samples: Annotated[Count, Field(ge=1)] = 64
    """Fractions of the target estimate (N')."""
    num_acting_samples: Annotated[Count, Field(ge=1)] = 32
    """Fractions averaged to choose an action (K); drawn, and in greedy mode evenly spaced."""
    risk_level: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Acting averages fractions in (0, risk_level]: below 1 it is the conditional value at risk."""
    huber_threshold: Annotated[float, Field(ge=0)] = 1.0
    """Kappa of the quantile Huber loss (eq. 3)."""


HeadConfig = Annotated[
    Annotated[
        ScalarHead | CategoricalHead | QuantileHead | ImplicitQuantileHead,
        Field(discriminator="kind"),
    ],
    Slot,
    BeforeValidator(_head_by_short_name),
]


class MaxBootstrap(Config):
    """The target network's greedy action (Mnih et al. 2015)."""

    kind: Literal["max"] = "max"


class DoubleBootstrap(Config):
    """The online network's greedy action (van Hasselt et al. 2016, arXiv:1509.06461)."""

    kind: Literal["double"] = "double"


class MunchausenBootstrap(Config):
    """A softmax policy, its log-probability in the reward (Vieillard 2020, arXiv:2007.14430)."""

    kind: Literal["munchausen"] = "munchausen"
    scale: Annotated[float, Field(ge=0)] = 0.9
    """Weight of the log-policy in the reward (paper's alpha)."""
    temperature: Annotated[float, Field(gt=0)] = 0.03
    """Softmax temperature (paper's tau)."""
    floor: Annotated[float, Field(le=0)] = -1.0
    """The scaled log-policy is clipped to [floor, 0] (paper's l0)."""


BootstrapConfig = Annotated[
    Annotated[
        MaxBootstrap | DoubleBootstrap | MunchausenBootstrap,
        Field(discriminator="kind"),
    ],
    Slot,
]


class EpsilonExploration(Config):
    """A random action with probability epsilon, drawn for each environment by itself."""

    kind: Literal["epsilon"] = "epsilon"
    epsilon: Schedule = LinearSchedule(start=1.0, end=0.05, fraction=0.1)
    """Probability over environment steps."""
    ladder_exponent: Annotated[float, Field(gt=0)] | None = None
    """One constant epsilon per environment: epsilon^(1 + i / (N - 1) * exponent), with epsilon the
    schedule's first value (Ape-X, Horgan et al. 2018, arXiv:1803.00933: 0.4 and 7)."""
    evaluation_epsilon: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of a random action in greedy mode."""


class NoisyExploration(Config):
    """Greedy over noisy layers, whose noise is drawn anew for each environment and step."""

    kind: Literal["noisy"] = "noisy"
    evaluation_epsilon: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of a random action in greedy mode, which acts without noise."""


ExplorationConfig = Annotated[
    Annotated[EpsilonExploration | NoisyExploration, Field(discriminator="kind")],
    Slot,
]


class NetworkConfig(Config):
    """Encoder, then the head's layers."""

    encoder: EncoderConfig = AutoEncoder()
    """From observation to features."""
    hidden_sizes: Sizes = (256,)
    """Layers between the features and the estimates; dueling has them once per stream."""
    dueling: bool = False
    """Separate value and advantage streams (Wang et al. 2016, arXiv:1511.06581, eq. 9)."""
    noisy: NoisyConfig | None = None
    """Noisy linear layers in place of those after the encoder; None for plain ones."""
    precision: PrecisionName = "float32"
    """Of all layers but the last: `auto` takes bfloat16 where there are convolutions and the
    processor multiplies it by itself."""
    compile: bool = False
    """torch.compile for updates; on a GPU their kernels are captured in graphs too. Takes seconds
    to a minute to begin; meant for a GPU."""


class DqnConfig(Config):
    """The `agent` section of the value family."""

    head: HeadConfig = ScalarHead()
    """How a return is represented."""
    bootstrap: BootstrapConfig = MaxBootstrap()
    """What the target expects to happen next."""
    exploration: ExplorationConfig = EpsilonExploration()
    """How training acts."""
    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-3)
    batch_size: Annotated[Count, Field(gt=0)] = 64
    """Transitions per update."""
    target_update_every_updates: Annotated[Count, Field(gt=0)] = 500
    """Updates between two steps of the target network."""
    target_update_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Weight of the online network in each step of the target network; 1 copies."""

    @model_validator(mode="after")
    def _mix_has_a_meaning(self) -> DqnConfig:
        if self.bootstrap.kind == "munchausen" and self.head.kind == "categorical":
            msg = (
                "head 'categorical' cannot be combined with bootstrap 'munchausen' (its entropy "
                "bonus would move the fixed support differently for every action); use head "
                "'scalar', 'quantile' or 'implicit-quantile'"
            )
            raise ValueError(msg)
        if self.exploration.kind == "noisy" and self.network.noisy is None:
            msg = "exploration 'noisy' needs network.noisy: set network.noisy.kind=factorised"
            raise ValueError(msg)
        return self
