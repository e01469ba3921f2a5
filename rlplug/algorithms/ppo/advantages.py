"""How good an action was: the advantage slot of the on-policy family."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

import torch

from rlplug.ops.returns import discounted_returns, gae, vtrace

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rlplug.algorithms.ppo.config import AdvantageConfig, VTraceAdvantage


class Outcome(NamedTuple):
    """What came of each row of a rollout; all `[T, N]`."""

    reward: Tensor
    """As learning sees it."""
    discount: Tensor
    """γ, or 0 where the episode terminated."""
    episode_over: Tensor
    """bool"""
    valid: Tensor
    """bool"""


class Estimate(NamedTuple):
    """What the losses learn from; all `[T, N]`."""

    advantage: Tensor
    target: Tensor | None
    """Of the value; None without a value function."""
    rho: Tensor | None = None
    """Weight of the row in a policy gradient; None where the policy that acted is the one that
    learns."""


if TYPE_CHECKING:
    Estimator = Callable[[Outcome, Tensor | None, Tensor | None, Tensor | None], Estimate]
    """`(outcome, value, next_value, log_ratio)`, `[T, N]`: the values or None without a value
    function; log π/μ of the action, or None where nothing is corrected for it."""


def build_estimator(config: AdvantageConfig) -> Estimator:
    """The estimator that `config` describes."""
    match config.kind:
        case "gae":
            return _gae(config.lambda_)
        case "returns":
            return _returns
        case "vtrace":
            return _vtrace(config)
    assert_never(config.kind)


def _gae(lambda_: float) -> Estimator:
    def estimate(
        outcome: Outcome, value: Tensor | None, next_value: Tensor | None, _: Tensor | None
    ) -> Estimate:
        assert value is not None
        assert next_value is not None
        advantage = gae(
            outcome.reward,
            outcome.discount,
            value,
            next_value,
            outcome.episode_over,
            outcome.valid,
            lambda_=lambda_,
        )
        # before any standardisation, which the target must not see
        return Estimate(advantage, advantage + value)

    return estimate


def _vtrace(config: VTraceAdvantage) -> Estimator:
    def estimate(
        outcome: Outcome,
        value: Tensor | None,
        next_value: Tensor | None,
        log_ratio: Tensor | None,
    ) -> Estimate:
        assert value is not None
        assert next_value is not None
        assert log_ratio is not None
        target, advantage, rho = vtrace(
            outcome.reward,
            outcome.discount,
            value,
            next_value,
            outcome.episode_over,
            log_ratio,
            outcome.valid,
            lambda_=config.lambda_,
            rho_clip=config.rho_clip,
            trace_clip=config.trace_clip,
        )
        return Estimate(advantage, target, rho)

    return estimate


def _returns(
    outcome: Outcome, _value: Tensor | None, _next_value: Tensor | None, _: Tensor | None
) -> Estimate:
    """Where an episode was truncated, its return ends: nothing knows what would have followed."""
    nothing = torch.zeros_like(outcome.reward)
    returns = discounted_returns(
        outcome.reward, outcome.discount, nothing, outcome.episode_over, outcome.valid
    )
    return Estimate(returns, None)
