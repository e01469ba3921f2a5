"""The network of MinAtar (Young and Tian 2019, arXiv:1903.03176, section 4), for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from rlplug.errors import ConfigError
from rlplug.nn.encoders import Encoder, ImageEncoder, ImageInput
from rlplug.nn.linear import Linear

if TYPE_CHECKING:
    import gymnasium
    from torch import Tensor

    from rlplug.nn.config import MinAtarCnn


class MinAtarEncoder(Encoder):
    """A 3x3 convolution and a fully connected layer, ReLU after each."""

    def __init__(self, config: MinAtarCnn, observation_space: gymnasium.Space[Any]) -> None:
        super().__init__()
        shape = observation_space.shape or ()
        if len(shape) != 3:
            raise ConfigError(
                f"network.encoder 'minatar-cnn' needs an image of three axes, got "
                f"{observation_space}. Set network.encoder=auto."
            )
        image = ImageInput(observation_space)
        if min(image.height, image.width) < 3:
            raise ConfigError(
                "network.encoder 'minatar-cnn' needs images of at least 3 x 3 pixels, got "
                f"{image.height} x {image.width}. Set network.encoder=mlp."
            )
        convolution = nn.Sequential(nn.Conv2d(image.channels, config.channels, 3), nn.ReLU())
        self.convolution = ImageEncoder(image, convolution)
        self.hidden = Linear(self.convolution.num_features, config.hidden_size)
        self.num_features = config.hidden_size

    def forward(self, observation: Tensor) -> Tensor:
        """`[B, *image]` -> `[B, D]`."""
        features: Tensor = self.hidden(self.convolution(observation)).relu()
        return features
