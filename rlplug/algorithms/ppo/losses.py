"""What an update descends: the losses of policy and value and the entropy, and their slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from torch.nn.functional import mse_loss

from rlplug.algorithms.ppo.objectives import build_objective
from rlplug.ops.policy_losses import clipped_value_loss
from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.ppo.config import PpoConfig
    from rlplug.algorithms.ppo.experience import Rows
    from rlplug.nn.distributions import Categorical, Distribution


class Coefficients(NamedTuple):
    """What the schedules say at this moment."""

    clip_ratio: float = 0.0
    entropy: float = 0.0


class Slopes(NamedTuple):
    """Of the loss, at what the network puts out."""

    logits: Tensor
    """`[B, A]`"""
    value: Tensor | None
    """`[B]`"""


class Losses:
    """Objective − c₁ entropy + c₂ squared error of the value, means over `[B]` transitions.

    (eq. 9, Schulman et al. 2017, arXiv:1707.06347)
    """

    def __init__(self, config: PpoConfig) -> None:
        self._config = config
        self._objective = build_objective(config.objective)

    def total(
        self, distribution: Distribution, value: Tensor | None, rows: Rows, now: Coefficients
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss `[]`, and what it is made of; autograd finds its way back from it."""
        policy = self._objective(distribution.log_prob(rows.action), rows, now.clip_ratio)
        entropy, loss = distribution.entropy().mean(), policy.loss
        if now.entropy:  # else it is measured and not differentiated
            loss = loss - now.entropy * entropy
        metrics = {"policy_loss": policy.loss, "entropy": entropy} | policy.diagnostics
        if value is not None:
            metrics["value_loss"] = value_loss = self._value_loss(value, rows).mean()
            loss = loss + self._config.value_coefficient * value_loss
        return loss, {name: metric.detach() for name, metric in metrics.items()}

    def _value_loss(self, value: Tensor, rows: Rows) -> Tensor:
        """Squared error `[B]`."""
        old_value, target = cast("Tensor", rows.value), cast("Tensor", rows.target)
        clip_range = self._config.value_clip_range
        if clip_range is None:
            return mse_loss(value, target, reduction="none")
        return clipped_value_loss(value, old_value, target, clip_range=clip_range)

    @property
    def has_slopes(self) -> bool:
        """Whether `slopes` knows the derivative of every part."""
        return self._config.value_clip_range is None

    def slopes(
        self, distribution: Categorical, value: Tensor | None, rows: Rows, now: Coefficients
    ) -> tuple[Slopes, dict[str, Tensor]]:
        """The slopes of `total`, written out, and the same of what it is made of."""
        size = len(rows.advantage)
        policy = self._objective(distribution.log_prob(rows.action), rows, now.clip_ratio)
        metrics = {"policy_loss": policy.loss, "entropy": distribution.entropy().mean()}
        metrics |= policy.diagnostics
        at_logits = distribution.slope(rows.action, policy.slope() / size, -now.entropy / size)
        if value is None:
            return Slopes(at_logits, None), metrics
        target = cast("Tensor", rows.target)
        check_shapes("value_loss", value=(value, "B"), target=(target, "B"))
        error = value - target
        metrics["value_loss"] = error.dot(error) / size
        return Slopes(at_logits, error.mul_(2 * self._config.value_coefficient / size)), metrics
