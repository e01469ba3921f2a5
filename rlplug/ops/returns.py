"""Returns and advantages of rollouts: GAE, λ-returns, Monte Carlo, V-trace, Retrace.

All share their arguments, time-major:

- `reward` `[T, N]` after the action at t, as learning sees it
- `discount` `[T, N]` γ, or 0 where the episode terminated at t
- `value` `[T, N]` value v(xₜ) of the observation at t
- `next_value` `[T, N]` value of the observation that followed, before any reset (`next_values`)
- `episode_over` `[T, N]` bool; cuts the recursion after t at termination *and* truncation, and
  never zeroes a bootstrap
- `valid` `[T, N]` bool or None; where it is False no transition was made, as between an episode's
  end and the next start. The result on valid rows is what it would be with the other rows deleted
  from their columns; on the others it is 0, whatever they hold.

The last row of each column bootstraps from its `next_value`. Every result is differentiable in
every input: a target's caller holds the gradient back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from torch import Tensor


def gae(
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    next_value: Tensor,
    episode_over: Tensor,
    valid: Tensor | None = None,
    *,
    lambda_: float,
) -> Tensor:
    """Generalised advantage estimates.

    Aₜ = δₜ + γₜ λ Aₜ₊₁ inside an episode,  δₜ = rₜ + γₜ v(xₜ₊₁) − v(xₜ)   (eqs. 11-16, Schulman et
    al. 2016, arXiv:1506.02438)

    Args:
        reward: `[T, N]`, and the others as at the head of this module.
        discount: `[T, N]`
        value: `[T, N]`
        next_value: `[T, N]`
        episode_over: `[T, N]`
        valid: `[T, N]`
        lambda_: mixing in [0, 1]; 0 gives the TD error, 1 the Monte-Carlo advantage.

    Returns:
        `[T, N]` advantages; not standardised.

    Raises:
        ShapeError: if the tensors do not share `[T, N]`.
        TypeError: if a flag is not bool.
    """
    _check(
        "gae",
        episode_over,
        valid,
        reward=reward,
        discount=discount,
        value=value,
        next_value=next_value,
    )
    td_error = reward + discount * next_value - value
    return _accumulate(td_error, discount * lambda_ * ~episode_over, valid)[0]


def lambda_returns(
    reward: Tensor,
    discount: Tensor,
    next_value: Tensor,
    episode_over: Tensor,
    valid: Tensor | None = None,
    *,
    lambda_: float,
) -> Tensor:
    """λ-returns.

    Gₜ = rₜ + γₜ [(1 − λ) v(xₜ₊₁) + λ Gₜ₊₁] inside an episode, rₜ + γₜ v(xₜ₊₁) in its last row
    (eq. 12.18, Sutton & Barto 2018). Equal to `gae` plus `value` where `next_value[t]` is
    `value[t + 1]` inside episodes.

    Args:
        reward: `[T, N]`, and the others as at the head of this module.
        discount: `[T, N]`
        next_value: `[T, N]`
        episode_over: `[T, N]`
        valid: `[T, N]`
        lambda_: mixing in [0, 1]; 0 gives the one-step target, 1 the Monte-Carlo return.

    Returns:
        `[T, N]` returns.

    Raises:
        ShapeError: if the tensors do not share `[T, N]`.
        TypeError: if a flag is not bool.
    """
    _check(
        "lambda_returns",
        episode_over,
        valid,
        reward=reward,
        discount=discount,
        next_value=next_value,
    )
    factor = discount * lambda_ * _has_successor(episode_over, valid)
    return _accumulate(reward + (discount - factor) * next_value, factor, valid)[0]


def discounted_returns(
    reward: Tensor,
    discount: Tensor,
    next_value: Tensor,
    episode_over: Tensor,
    valid: Tensor | None = None,
) -> Tensor:
    """Monte-Carlo returns `[T, N]`: discounted rewards to the end of the episode.

    Where an episode was truncated, or the rollout ends, `next_value` stands for the rest; zeros
    there give the plain sum of what was seen. These are the `lambda_returns` of λ = 1.
    """
    return lambda_returns(reward, discount, next_value, episode_over, valid, lambda_=1.0)


class VTrace(NamedTuple):
    """What V-trace makes of a rollout; all `[T, N]`."""

    target: Tensor
    """Value target vₛ (eq. 1)."""
    advantage: Tensor
    """rₛ + γ vₛ₊₁ − V(xₛ), without the weight ρₛ that the policy gradient gives it (section 4.2):
    an objective with the ratio π/μ in it would count the age of the data twice."""
    rho: Tensor
    """That weight ρₛ."""


def vtrace(  # noqa: PLR0913  # the arguments of equation 1
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    next_value: Tensor,
    episode_over: Tensor,
    log_ratio: Tensor,
    valid: Tensor | None = None,
    *,
    lambda_: float = 1.0,
    rho_clip: float = 1.0,
    trace_clip: float = 1.0,
) -> VTrace:
    """V-trace targets and advantages for data of an older policy μ.

    vₛ = V(xₛ) + Σₜ γᵗ⁻ˢ (cₛ … cₜ₋₁) δₜ,  δₜ = ρₜ (rₜ + γ V(xₜ₊₁) − V(xₜ)),  ρₜ = min(ρ̄, π/μ),
    cₜ = λ min(c̄, π/μ)   (eq. 1 and remark 2, Espeholt et al. 2018, arXiv:1802.01561)

    Where λ is below 1, vₛ₊₁ in the advantage is λ vₛ₊₁ + (1 − λ) V(xₛ₊₁), on which the paper is
    silent: so the advantage is GAE's, and the target GAE plus the value, where π = μ.

    Args:
        reward: `[T, N]`, and the others as at the head of this module.
        discount: `[T, N]`
        value: `[T, N]`
        next_value: `[T, N]`
        episode_over: `[T, N]`
        log_ratio: `[T, N]` log π(aₜ|xₜ) − log μ(aₜ|xₜ); zeros on-policy.
        valid: `[T, N]`
        lambda_: shortens the traces, in [0, 1]; on-policy, 1 gives n-step returns.
        rho_clip: ρ̄, which decides between the values of μ and of π (infinity).
        trace_clip: c̄, which bounds how far a correction travels.

    Returns:
        Targets, advantages and their weights.

    Raises:
        ShapeError: if the tensors do not share `[T, N]`.
        TypeError: if a flag is not bool.
    """
    _check(
        "vtrace",
        episode_over,
        valid,
        reward=reward,
        discount=discount,
        value=value,
        next_value=next_value,
        log_ratio=log_ratio,
    )
    ratio = log_ratio.exp()
    rho = ratio.clamp(max=rho_clip)
    trace = lambda_ * ratio.clamp(max=trace_clip)
    inside = discount * ~episode_over
    td_error = reward + discount * next_value - value
    correction, next_correction = _accumulate(rho * td_error, inside * trace, valid)
    advantage = td_error + lambda_ * inside * next_correction
    return VTrace(*(_only(valid, each) for each in (value + correction, advantage, rho)))


def retrace(
    reward: Tensor,
    discount: Tensor,
    q_value: Tensor,
    next_value: Tensor,
    episode_over: Tensor,
    log_ratio: Tensor,
    valid: Tensor | None = None,
    *,
    lambda_: float = 1.0,
) -> Tensor:
    """Retrace(λ) targets for the action values of π, from data of any policy μ.

    Gₜ = Q(xₜ, aₜ) + Σₛ γˢ⁻ᵗ (cₜ₊₁ … cₛ) [rₛ + γ E_π Q(xₛ₊₁, ·) − Q(xₛ, aₛ)],  cₛ = λ min(1, π/μ)
    (eq. 3 with the Retrace traces of section 3, Munos et al. 2016, arXiv:1606.02647)

    Args:
        reward: `[T, N]`, and the others as at the head of this module.
        discount: `[T, N]`
        q_value: `[T, N]` Q(xₜ, aₜ) of the action taken.
        next_value: `[T, N]` E_π Q(xₜ₊₁, ·) of the observation that followed, before any reset.
        episode_over: `[T, N]`
        log_ratio: `[T, N]` log π(aₜ|xₜ) − log μ(aₜ|xₜ).
        valid: `[T, N]`
        lambda_: shortens the traces, in [0, 1]; 0 gives the one-step target.

    Returns:
        `[T, N]` targets of Q(xₜ, aₜ).

    Raises:
        ShapeError: if the tensors do not share `[T, N]`.
        TypeError: if a flag is not bool.
    """
    _check(
        "retrace",
        episode_over,
        valid,
        reward=reward,
        discount=discount,
        q_value=q_value,
        next_value=next_value,
        log_ratio=log_ratio,
    )
    trace = lambda_ * log_ratio.exp().clamp(max=1.0)
    inside = discount * ~episode_over
    td_error = reward + discount * next_value - q_value
    # the trace of a row scales what the row before it sees, so it is taken in with the row
    _, next_correction = _accumulate(trace * td_error, trace * inside, valid)
    return _only(valid, q_value + td_error + inside * next_correction)


def next_values(
    value: Tensor, last_value: Tensor, final_steps: Tensor, final_value: Tensor
) -> Tensor:
    """The value of the observation that followed each row.

    Args:
        value: `[T, N]` value of the observation at t.
        last_value: `[N]` value of the rollout's `next_observation`.
        final_steps: `[F, 2]` int64 `(t, n)` of the rows with `episode_over`.
        final_value: `[F]` value of the observation after each of these, before any reset.

    Returns:
        `[T, N]`: `value[t + 1]`, except in the last row and at the ends of episodes.

    Raises:
        ShapeError: if the shapes do not fit together.
    """
    check_shapes(
        "next_values",
        value=(value, "T N"),
        last_value=(last_value, "N"),
        final_steps=(final_steps, "F two"),
        final_value=(final_value, "F"),
    )
    followed = torch.cat((value[1:], last_value.unsqueeze(0)))
    t, n = final_steps.unbind(dim=1)
    return followed.index_put((t, n), final_value)


def linear_recurrence(term: Tensor, factor: Tensor) -> Tensor:
    """The solution `[T, ...]` of xₜ = termₜ + factorₜ xₜ₊₁ with nothing after the last row.

    By doubling: after k rounds xₜ holds 2ᵏ terms. That is log₂ T operations on whole arrays in
    place of T on rows, which for `[128, 8]` takes 60 µs where a loop takes 400.
    """
    step = 1
    while step < len(term):
        longer = torch.addcmul(term[:-step], factor[:-1], term[step:])
        term = torch.cat((longer, term[-step:]))
        factor = factor[:-step] * factor[step:]  # of rows that reach a row at 2 * step
        step *= 2
    return term


def _accumulate(term: Tensor, factor: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """xₜ = termₜ + factorₜ xₜ₊₁ over valid rows, and the xₜ₊₁ of each row.

    A row that is not valid hands on what follows it.
    """
    if valid is not None:
        term = torch.where(valid, term, 0.0)
        factor = torch.where(valid, factor, 1.0)
    total = linear_recurrence(term, factor)
    following = torch.cat((total[1:], torch.zeros_like(total[:1])))
    return _only(valid, total), following


def _only(valid: Tensor | None, result: Tensor) -> Tensor:
    return result if valid is None else torch.where(valid, result, 0.0)


def _has_successor(episode_over: Tensor, valid: Tensor | None) -> Tensor:
    """`[T, N]` bool: a later row of the same column goes on from this one."""
    if valid is None:
        valid = torch.ones_like(episode_over)
    is_followed = valid.sum(dim=0) > valid.cumsum(dim=0)
    return is_followed & ~episode_over


def _check(where: str, episode_over: Tensor, valid: Tensor | None, **numbers: Tensor) -> None:
    """All of one shape, and bools where `~` on another type would be a number."""
    flags = {"episode_over": episode_over} | ({} if valid is None else {"valid": valid})
    check_shapes(where, **{name: (x, "T N") for name, x in (numbers | flags).items()})
    for name, flag in flags.items():
        if flag.dtype != torch.bool:
            raise TypeError(f"{where}: {name} is {flag.dtype}, expected torch.bool.")
