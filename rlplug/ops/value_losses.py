"""Losses and projections of value functions, as pure functions.

Each returns one number per sample, `[B]`: importance weights and the mean are the caller's, once.
Targets are not detached here: compute them without gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from rlplug.ops.shapes import check_shapes


def huber(error: Tensor, threshold: float | None) -> Tensor:
    """½ e² where |e| ≤ κ, κ (|e| − ½ κ) beyond (Huber 1964); None is ½ e² everywhere.

    Its gradient is the error clipped to ±κ, which is how Mnih et al. 2015 put it.

    Args:
        error: any shape.
        threshold: κ > 0.

    Returns:
        The error's shape.
    """
    if threshold is None:
        return 0.5 * error.square()
    return F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=threshold)


def project_categorical(probs: Tensor, atoms_from: Tensor, atoms_to: Tensor) -> Tensor:
    """Move probability mass to the nearest atoms of a fixed support.

    (Φ p)ⱼ = Σᵢ [1 − |clip(zᵢ) − zⱼ| / Δz]₀¹ pᵢ   (eq. 7, Bellemare et al. 2017, arXiv:1707.06887)

    Written as the triangle that it is, an atom that meets a support atom exactly keeps all of its
    mass. Mass beyond the support goes to its ends; within it, the mean is preserved.

    Args:
        probs: `[B, K]`.
        atoms_from: `[B, K]` returns that `probs` are of.
        atoms_to: `[K]` the support: increasing, equally spaced, K ≥ 2.

    Returns:
        `[B, K]` with the row sums of `probs`.

    Raises:
        ShapeError: if the shapes are others.
    """
    check_shapes(
        "project_categorical",
        probs=(probs, "B K"),
        atoms_from=(atoms_from, "B K"),
        atoms_to=(atoms_to, "K"),
    )
    last = len(atoms_to) - 1
    spacing = (atoms_to[-1] - atoms_to[0]) / last
    position = ((atoms_from - atoms_to[0]) / spacing).clamp(0, last)  # [B, K] in atoms
    lower = position.floor().clamp(max=last - 1)
    upper_share = position - lower  # 1 at the very end, 0 on any other atom
    below = lower.nan_to_num().long()  # a return that is NaN keeps its place in `upper_share`
    projected = torch.zeros_like(probs).scatter_add(1, below, probs * (1 - upper_share))
    return projected.scatter_add(1, below + 1, probs * upper_share)


def quantile_huber_loss(
    quantiles: Tensor, fractions: Tensor, targets: Tensor, kappa: float
) -> Tensor:
    """How far quantiles are from those of the targets' distribution.

    Σᵢ meanⱼ |τᵢ − 1{δᵢⱼ < 0}| Lκ(δᵢⱼ) / κ,  δᵢⱼ = targetⱼ − quantileᵢ
    (eq. 10, Dabney et al. 2018, arXiv:1710.10044; eq. 3, Dabney et al. 2018, arXiv:1806.06923)

    Args:
        quantiles: `[B, K]` predicted.
        fractions: `[B, K]` or `[K]` in (0, 1), at which they were predicted.
        targets: `[B, M]` samples of the target distribution.
        kappa: threshold of the Huber loss Lκ; 0 is the plain quantile loss, |δᵢⱼ| for Lκ / κ.

    Returns:
        `[B]`, at least 0.

    Raises:
        ShapeError: if the shapes are others.
    """
    check_shapes(
        "quantile_huber_loss",
        quantiles=(quantiles, "B K"),
        fractions=(fractions, "B K" if fractions.ndim == 2 else "K"),
        targets=(targets, "B M"),
    )
    size = (*quantiles.shape, targets.shape[1])
    predicted = quantiles.unsqueeze(2).expand(size)  # [B, K, M], not written out: half the time
    target = targets.unsqueeze(1).expand(size)
    if kappa == 0:
        distance = (target - predicted).abs()
    else:
        distance = F.huber_loss(predicted, target, reduction="none", delta=kappa)
    fraction = fractions.unsqueeze(-1)  # [B, K, 1] or [K, 1]
    tilt = torch.where(target < predicted, 1 - fraction, fraction)  # [B, K, M]
    return (tilt * distance).mean(2).sum(1) / (kappa or 1.0)
