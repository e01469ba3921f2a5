"""How far the policies that acted were from the one that learns, for reports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.ppo.config import VTraceAdvantage

_ROUNDING = 1e-4
"""Ratios of one policy to itself, computed in batches of two sizes, differ from 1 by less."""


class ImportanceReport:
    """Of the rollouts of one iteration.

    Args:
        config: Where ratios are clipped.
    """

    def __init__(self, config: VTraceAdvantage) -> None:
        self._highest = math.log(config.rho_clip) + _ROUNDING
        self._log_ratios: list[Tensor] = []
        self._rhos: list[Tensor] = []

    def add(self, log_ratio: Tensor, rho: Tensor, valid: Tensor) -> None:
        """Note the log-ratios of a rollout's actions, and what they weigh, `[T, N]`."""
        self._log_ratios.append(log_ratio[valid])
        self._rhos.append(rho[valid])

    def metrics(self) -> dict[str, float]:
        """Means over transitions: of the ratio as it is clipped, and how many are."""
        is_clipped = torch.cat(self._log_ratios) > self._highest
        return {
            "rho": float(torch.cat(self._rhos).mean()),
            "rho_clip_fraction": float(is_clipped.float().mean()),
        }
