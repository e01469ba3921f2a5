"""What the policy improves: the objective slot of the on-policy family."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from rlplug.ops.policy_losses import clipped_surrogate, policy_gradient_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rlplug.algorithms.ppo.config import ObjectiveConfig
    from rlplug.algorithms.ppo.experience import Rows


class PolicyLoss(NamedTuple):
    """A scalar to descend, and what it says of itself."""

    loss: Tensor
    diagnostics: dict[str, Tensor]
    """Scalars by name."""
    slope: Callable[[], Tensor]
    """`[B]` of each sample's own loss, at its log-probability."""


if TYPE_CHECKING:
    Objective = Callable[[Tensor, Rows, float], PolicyLoss]
    """`(log_prob, rows, clip_ratio)`: `[B]` of the policy that learns, and what acting left."""


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective that `config` describes."""
    match config.kind:
        case "clipped":
            return _clipped
        case "policy-gradient":
            return _policy_gradient
    assert_never(config.kind)


def _clipped(log_prob: Tensor, rows: Rows, clip_ratio: float) -> PolicyLoss:
    """The ratio is to the policy that acted, of whatever age: it needs no weight beside it."""
    surrogate = clipped_surrogate(log_prob, rows.log_prob, rows.advantage, clip_ratio=clip_ratio)
    diagnostics = {
        "approximate_kl": surrogate.approximate_kl.mean(),
        "clip_fraction": surrogate.is_clipped.float().mean(),
    }
    return PolicyLoss(surrogate.loss.mean(), diagnostics, surrogate.slope)


def _policy_gradient(log_prob: Tensor, rows: Rows, _clip_ratio: float) -> PolicyLoss:
    loss = policy_gradient_loss(log_prob, rows.advantage)
    rho = rows.rho
    if rho is not None:
        loss = rho * loss  # section 4.2, arXiv:1802.01561
    return PolicyLoss(
        loss.mean(), {}, lambda: -rows.advantage if rho is None else -rho * rows.advantage
    )
