"""What rlplug registers as networks, beside the kinds that every algorithm knows. No torch here."""

from __future__ import annotations

from rlplug.specs import NetworkSpec

MINATAR_CNN = NetworkSpec(
    name="minatar-cnn",
    summary="One small convolution and one layer, for images from 3 x 3 pixels (Young 2019)",
    config="rlplug.nn.config:MinAtarCnn",
    build="rlplug.nn.minatar:MinAtarEncoder",
)
