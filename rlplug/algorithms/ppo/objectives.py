"""What the policy improves: the objective slot of the on-policy family."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from rlplug.ops.policy_losses import clipped_surrogate, policy_gradient_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rlplug.algorithms.ppo.config import ObjectiveConfig


class PolicyLoss(NamedTuple):
    """A scalar to descend, and what it says of itself."""

    loss: Tensor
    diagnostics: dict[str, Tensor]
    """Scalars by name."""


if TYPE_CHECKING:
    Objective = Callable[[Tensor, Tensor, Tensor, float], PolicyLoss]
    """`(log_prob, old_log_prob, advantage, clip_ratio)`, the tensors `[B]`."""


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective that `config` describes."""
    match config.kind:
        case "clipped":
            return _clipped
        case "policy-gradient":
            return _policy_gradient
    assert_never(config.kind)


def _clipped(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_ratio: float
) -> PolicyLoss:
    loss, approximate_kl, is_clipped = clipped_surrogate(
        log_prob, old_log_prob, advantage, clip_ratio=clip_ratio
    )
    diagnostics = {
        "approximate_kl": approximate_kl.mean(),
        "clip_fraction": is_clipped.float().mean(),
    }
    return PolicyLoss(loss.mean(), diagnostics)


def _policy_gradient(
    log_prob: Tensor, _old_log_prob: Tensor, advantage: Tensor, _clip_ratio: float
) -> PolicyLoss:
    return PolicyLoss(policy_gradient_loss(log_prob, advantage).mean(), {})
