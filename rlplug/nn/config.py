"""Settings of networks and optimizers. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rlplug.config import Config, Count, Slot

Sizes = tuple[Annotated[Count, Field(gt=0)], ...]


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


EncoderConfig = Annotated[
    Annotated[AutoEncoder | MlpEncoder | NatureCnn | ImpalaResNet, Field(discriminator="kind")],
    Slot,
]
"""What turns an observation into features `[B, D]`."""


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
