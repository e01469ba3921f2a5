"""Settings beside a heavy import, as a plugin should not have them."""

from __future__ import annotations

import torch
from reference_config import QConfig


class HeavyConfig(QConfig):
    """Settings that cost an import of torch."""


TENSOR = torch.Tensor
