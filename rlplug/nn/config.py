"""Settings of networks and optimizers. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rlplug.config import Config, Count

Sizes = tuple[Annotated[Count, Field(gt=0)], ...]
PrecisionName = Literal["float32", "bfloat16", "auto"]
"""What encoders and hidden layers multiply in; last layers, losses and weights are float32."""


class AutoEncoder(Config):
    """Chosen from the observation space.

    An MLP for vectors, the Nature CNN for images; one encoder per leaf for dicts and tuples, their
    features concatenated.
    """

    kind: Literal["auto"] = "auto"
    hidden_sizes: Sizes = (256,)
    """Layers of the MLP that encodes vectors."""


class MlpEncoder(Config):
    """Fully connected layers with ReLU after each; images are flattened."""

    kind: Literal["mlp"] = "mlp"
    hidden_sizes: Sizes = (256,)
    """Units of each layer; empty passes the observation through."""


class NatureCnn(Config):
    """Three convolutions (Mnih et al. 2015, Methods): 32x8/4, 64x4/2, 64x3/1, ReLU; flattened."""

    kind: Literal["nature-cnn"] = "nature-cnn"


class ImpalaResNet(Config):
    """Residual network (Espeholt et al. 2018, arXiv:1802.01561, figure 3, large; without LSTM)."""

    kind: Literal["impala-resnet"] = "impala-resnet"
    channels: Sizes = (16, 32, 32)
    """Channels of each stage: convolution, max-pool, two residual blocks."""


class RegisteredEncoder(Config):
    """An encoder that a package provides (`rlplug.networks`); its name alone chooses it."""

    kind: Literal["registered"] = "registered"
    name: str
    """As `rlplug list networks` shows it."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Its own settings; `rlplug info NAME` shows them."""

    @model_validator(mode="after")
    def _exists(self) -> RegisteredEncoder:
        from rlplug.registry.networks import network_config

        network_config(self.name, self.settings, other_names=BUILT_IN_ENCODERS)
        return self


BUILT_IN_ENCODERS = ("auto", "mlp", "nature-cnn", "impala-resnet")


def _encoder_object(value: Any) -> Any:
    """Let an encoder be chosen by its kind alone; any other name is a registered one's."""
    if isinstance(value, str):
        is_kind = value in {*BUILT_IN_ENCODERS, "registered"}
        return {"kind": value} if is_kind else {"kind": "registered", "name": value}
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        return {**value, **_encoder_object(value["kind"])}
    return value


EncoderConfig = Annotated[
    Annotated[
        AutoEncoder | MlpEncoder | NatureCnn | ImpalaResNet | RegisteredEncoder,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_encoder_object),
]
"""What turns an observation into features `[B, D]`."""


class MinAtarCnn(Config):
    """The settings of the registered encoder `minatar-cnn`."""

    channels: Annotated[Count, Field(gt=0)] = 16
    """Filters of the one convolution, 3x3."""
    hidden_size: Annotated[Count, Field(gt=0)] = 128
    """Units of the layer after it."""


class NoisyConfig(Config):
    """Noisy linear layers (Fortunato et al. 2018, arXiv:1706.10295)."""

    kind: Literal["factorised", "independent"] = "factorised"
    """Noise per layer: outer product of two vectors (eq. 10), or one draw per weight."""
    initial_sigma: Annotated[float, Field(gt=0)] | None = None
    """Sigma at the start: over the square root of the inputs where factorised, as it is where
    independent. None takes the paper's 0.5 and 0.017 (section 3.2)."""


class OptimizerConfig(Config):
    """Any optimizer of torch.optim, a learning-rate decay and gradient clipping."""

    name: str = "adam"
    """Class in torch.optim, in any case: adam, adamw, rmsprop, sgd, ..."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Step size at the start."""
    decay: Literal["constant", "linear", "cosine", "square-root"] = "constant"
    """How the learning rate goes to its final share over the run."""
    final_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the learning rate that is left at the end of the run."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further keyword arguments of the optimizer: betas, eps, weight_decay, ..."""
    max_gradient_norm: Annotated[float, Field(gt=0)] | None = None
    """The gradient's global L2 norm is scaled down to this; None leaves it."""
