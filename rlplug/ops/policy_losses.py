"""Losses of policies and of the values that train them, as pure functions.

Each returns one number per sample, `[B]` (or `[T, B]`, as its inputs): importance weights, masks
and the mean are the caller's, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from torch import Generator, Tensor


def policy_gradient_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """−log π(a|x) A: REINFORCE with A = return − baseline, A2C with an estimated advantage.

    (Williams 1992; section 4, Mnih et al. 2016, arXiv:1602.01783)

    Args:
        log_prob: `[B]` of the action taken.
        advantage: `[B]`; no gradient flows through it.

    Returns:
        `[B]`

    Raises:
        ShapeError: if the shapes differ.
    """
    _check_same("policy_gradient_loss", log_prob=log_prob, advantage=advantage)
    return -log_prob * advantage.detach()


class ClippedSurrogate(NamedTuple):
    """PPO's loss, and how far the policy has moved; all `[B]`."""

    loss: Tensor
    approximate_kl: Tensor
    """Its mean estimates KL(old ‖ new): (ratio − 1) − log ratio, never negative, no gradient."""
    is_clipped: Tensor
    """bool; its mean is the clip fraction."""
    is_held: Tensor
    """bool: clipped on the side that the advantage favours, where the loss stands still."""

    def slope(self) -> Tensor:
        """∂ loss / ∂ log_prob: −ratio A, the loss itself, and 0 where it is held."""
        return self.loss.detach().masked_fill(self.is_held, 0)


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, *, clip_ratio: float
) -> ClippedSurrogate:
    """−min(ratio A, clip(ratio, 1 − ε, 1 + ε) A)   (eq. 7, Schulman et al. 2017, arXiv:1707.06347).

    Args:
        log_prob: `[B]` of the action taken, under the policy that learns.
        old_log_prob: `[B]` of the same action, under the policy that took it.
        advantage: `[B]`; no gradient flows through it.
        clip_ratio: ε > 0.

    Returns:
        Loss and diagnostics.

    Raises:
        ShapeError: if the shapes differ.
    """
    _check_same(
        "clipped_surrogate", log_prob=log_prob, old_log_prob=old_log_prob, advantage=advantage
    )
    advantage = advantage.detach()
    log_ratio = log_prob - old_log_prob
    ratio = log_ratio.exp()
    with torch.no_grad():
        change = ratio - 1
        # the smaller product is the clipped one where the ratio is beyond the bound on the side
        # that the advantage favours; one choice in place of two products costs half
        bound = 1 + clip_ratio * advantage.sign()
        is_beyond = (ratio - bound) * advantage > 0
    loss = -advantage * torch.where(is_beyond, bound, ratio)
    is_clipped = change.abs() > clip_ratio
    return ClippedSurrogate(loss, (change - log_ratio).detach(), is_clipped, is_beyond)


def clipped_value_loss(
    value: Tensor, old_value: Tensor, target: Tensor, *, clip_range: float
) -> Tensor:
    """max((v − target)², (v_clipped − target)²), v_clipped within `clip_range` of the old value.

    The larger of the two is taken for each sample, before any mean. PPO's value loss (eq. 9,
    Schulman et al. 2017, arXiv:1707.06347) with the clipping of its published code.

    Args:
        value: `[B]` of the network that learns.
        old_value: `[B]` when the rollout was made.
        target: `[B]` return.
        clip_range: in the units of the value, > 0.

    Returns:
        `[B]`

    Raises:
        ShapeError: if the shapes differ.
    """
    _check_same("clipped_value_loss", value=value, old_value=old_value, target=target)
    clipped = old_value + (value - old_value).clamp(-clip_range, clip_range)
    return torch.maximum((value - target).square(), (clipped - target).square())


def soft_value(q_value: Tensor, log_prob: Tensor, temperature: Tensor | float) -> Tensor:
    """Q(x, a) − α log π(a|x) for an action drawn from π.

    At the next observation it is what SAC's critics bootstrap from (eq. 3, Haarnoja et al. 2018,
    arXiv:1812.05905); negated, with a reparameterised action, it is the actor's loss (eq. 7).

    Args:
        q_value: `[B]` the smaller of the critics' values.
        log_prob: `[B]` of the same action.
        temperature: α; no gradient flows through it.

    Returns:
        `[B]`

    Raises:
        ShapeError: if the shapes differ.
    """
    _check_same("soft_value", q_value=q_value, log_prob=log_prob)
    return q_value - _constant(temperature) * log_prob


def expected_soft_value(q_values: Tensor, log_probs: Tensor, temperature: Tensor | float) -> Tensor:
    """Σₐ π(a|x) (Q(x, a) − α log π(a|x)), the `soft_value` of discrete actions without a draw.

    It is what the critics bootstrap from (eq. 10, Christodoulou 2019, arXiv:1910.07207) and,
    negated, the actor's loss (eq. 12).

    Args:
        q_values: `[B, A]` the smaller of the critics' values, per action.
        log_probs: `[B, A]` rows of the policy; finite, for masked actions too.
        temperature: α; no gradient flows through it.

    Returns:
        `[B]`

    Raises:
        ShapeError: if the shapes differ.
    """
    check_shapes("expected_soft_value", q_values=(q_values, "B A"), log_probs=(log_probs, "B A"))
    probs = log_probs.exp()
    entropy = -(probs * log_probs).sum(dim=1)
    return (probs * q_values).sum(dim=1) + _constant(temperature) * entropy


def temperature_loss(log_temperature: Tensor, entropy: Tensor, target_entropy: float) -> Tensor:
    """α (H − H̄): raises the temperature while the entropy is below its target.

    (eq. 18, Haarnoja et al. 2018, arXiv:1812.05905; eq. 11, Christodoulou 2019, arXiv:1910.07207)

    Args:
        log_temperature: `[]` log α, which learns.
        entropy: `[B]` −log π(a|x) of drawn actions, or the policy's entropy where it is known; no
            gradient flows through it.
        target_entropy: H̄ in nats.

    Returns:
        `[B]`

    Raises:
        ShapeError: if `log_temperature` is no scalar.
    """
    check_shapes("temperature_loss", log_temperature=(log_temperature, ""))
    return log_temperature.exp() * (entropy.detach() - target_entropy)


@torch.no_grad()
def one_step_target(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """The target r + discount · v(x') of the critics of DDPG, TD3 and SAC; without gradient.

    The next value is Q'(x', μ'(x')) (eq. 5, Lillicrap et al. 2016, arXiv:1509.02971), the smaller
    of two of these (eq. 10, Fujimoto et al. 2018, arXiv:1802.09477), or a `soft_value` (eq. 2,
    Haarnoja et al. 2018, arXiv:1812.05905).

    Args:
        reward: `[B]` n-step discounted sum.
        discount: `[B]` γⁿ, or 0 where the episode terminated.
        next_value: `[B]` n steps later.

    Returns:
        `[B]`

    Raises:
        ShapeError: if the shapes differ.
    """
    _check_same("one_step_target", reward=reward, discount=discount, next_value=next_value)
    return reward + discount * next_value


@torch.no_grad()
def smoothed_action(
    action: Tensor, *, noise_scale: float, noise_clip: float, generator: Generator
) -> Tensor:
    """clip(μ'(x') + clip(N(0, σ), −c, c), −1, 1), the action that TD3's critics bootstrap from.

    (section 5.3, Fujimoto et al. 2018, arXiv:1802.09477)

    Args:
        action: `[B, D]` of the target policy, in [−1, 1].
        noise_scale: σ, in these units.
        noise_clip: c > 0.
        generator: on the action's device.

    Returns:
        `[B, D]` for the target critics; without gradient.
    """
    noise = torch.empty_like(action).normal_(std=noise_scale, generator=generator)
    return (action + noise.clamp_(-noise_clip, noise_clip)).clamp_(-1.0, 1.0)


def deterministic_policy_loss(q_value: Tensor) -> Tensor:
    """−Q(x, μ(x)), whose gradient is the deterministic policy's, negated.

    (theorem 1, Silver et al. 2014; eq. 6, Lillicrap et al. 2016, arXiv:1509.02971)

    Args:
        q_value: `[B]` of the policy's own action; let no gradient reach the critic's weights.

    Returns:
        `[B]`

    Raises:
        ShapeError: if it is no vector, such as a critic's `[B, 1]`.
    """
    check_shapes("deterministic_policy_loss", q_value=(q_value, "B"))
    return -q_value


def standardized(advantage: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean 0 and deviation 1 over all samples together, time and environments alike.

    For the policy's loss alone: value targets are made from advantages as they were.

    Args:
        advantage: any shape; one sample stays as it is.
        valid: the same shape, bool; samples where it is False are left out, and become 0.

    Returns:
        The shape of `advantage`.
    """
    if valid is None:
        return advantage if advantage.numel() < 2 else _standardized_by(advantage, advantage)
    chosen = advantage[valid]
    result = advantage if chosen.numel() < 2 else _standardized_by(advantage, chosen)
    return torch.where(valid, result, 0.0)


def _standardized_by(advantage: Tensor, samples: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(samples)
    return (advantage - mean) / (deviation + 1e-8)


def explained_variance(value: Tensor, target: Tensor) -> Tensor:
    """1 − Var(target − value) / Var(target), a scalar: 1 is perfect, 0 no better than a constant.

    NaN where the targets vary by no more than rounding. Leave out rows that are no transition.
    """
    _check_same("explained_variance", value=value, target=target)
    variance = target.var(correction=0)
    ratio = (target - value).var(correction=0) / variance
    rounding = (8 * torch.finfo(target.dtype).eps) ** 2 * target.square().mean()
    return torch.where(variance > rounding, 1 - ratio, torch.nan)


def _constant(temperature: Tensor | float) -> Tensor | float:
    return temperature.detach() if isinstance(temperature, torch.Tensor) else temperature


def _check_same(where: str, **tensors: Tensor) -> None:
    """One shape for all, so that nothing broadcasts."""
    first = next(iter(tensors.values()))
    axes = "B" if first.dim() == 1 else " ".join(f"axis{i}" for i in range(first.dim()))
    check_shapes(where, **{name: (tensor, axes) for name, tensor in tensors.items()})
