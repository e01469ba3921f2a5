"""Matrix products in float32 at the speed that the processor has.

On a CPU, torch multiplies float32 matrices by MKL, which keeps to AVX2 on processors that are not
Intel's. oneDNN, which torch brings too and uses for convolutions, takes AVX-512 on all of them.
Where that is twice as wide, on AMD's processors from Zen 5 on, products of these networks' sizes
take 0.45 to 0.65 of the time, in the same precision; on Zen 4 and on Intel's nothing is gained
(docs/decisions/0031). What is too small to gain, and whatever is not float32 on such a CPU, goes
the common way.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

if TYPE_CHECKING:
    from torch import Tensor

_ZEN_5 = 26
"""Its family; 25 has AVX-512 too, and computes it in two halves."""


def _is_wider_than_mkl(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this is a processor of AMD whose vectors are twice as wide as what MKL uses.

    Args:
        cpuinfo: What Linux says of the processors; systems without it count as no.
    """
    if not cpuinfo.exists():
        return False
    with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        first = [line.partition(":") for line in takewhile(str.strip, lines)]
    of_first = {name.strip(): value.strip() for name, _, value in first}
    family = of_first.get("cpu family", "")
    is_zen_5 = family.isdecimal() and int(family) >= _ZEN_5
    return of_first.get("vendor_id") == "AuthenticAMD" and is_zen_5


_HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
_TAKES_ONEDNN = _HAS_ONEDNN and _is_wider_than_mkl()
_MIN_PRODUCTS = 6_000_000
"""Rows · inputs · outputs from which on oneDNN wins: below, its set-up costs what it saves."""


class Linear(nn.Linear):
    """torch's own layer: the same weights, names and initial values, by `linear`."""

    def forward(self, features: Tensor) -> Tensor:
        """`[..., inputs]` -> `[..., outputs]`."""
        return linear(features, self.weight, self.bias)


def linear(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`[..., inputs]` · `[outputs, inputs]`ᵀ + `[outputs]` -> `[..., outputs]`."""
    if not _gains(features, weight.numel()):
        return F.linear(features, weight, bias)
    if torch.is_grad_enabled() and (features.requires_grad or weight.requires_grad):
        result: Tensor = _Linear.apply(features, weight, bias)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return result
    return _product(features, weight, bias)


def linear_relu(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """max(0, `linear`), without a graph: one operation where oneDNN multiplies."""
    if _gains(features, weight.numel()):
        return _product(features, weight, bias, "relu")
    return F.linear(features, weight, bias).relu_()


def gradient_of_inputs(slope: Tensor, weight: Tensor) -> Tensor:
    """∂x = ∂y · W: `[B, outputs]` · `[outputs, inputs]` -> `[B, inputs]`, without a graph."""
    return _product(slope, weight.t()) if _gains(slope, weight.numel()) else slope.mm(weight)


def gradient_of_weight(slope: Tensor, features: Tensor, *, out: Tensor) -> None:
    """∂W = ∂yᵀ · x into `out`: `[B, outputs]`ᵀ · `[B, inputs]` -> `[outputs, inputs]`.

    Slope and features are of one dtype, `out` of theirs or wider.
    """
    if slope.dtype is not out.dtype:
        out.copy_(slope.t().mm(features))
    elif _gains(slope, out.numel()):
        out.copy_(_product(slope.t(), features.t()))
    else:
        torch.mm(slope.t(), features, out=out)


def ensemble_linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`[C, B, inputs]` · `[C, inputs, outputs]` + `[C, 1, outputs]` -> `[C, B, outputs]`."""
    if not _gains(features[0], weight[0].numel()):
        return torch.baddbmm(bias, features, weight)
    result: Tensor = _EnsembleLinear.apply(features, weight, bias)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


def member_linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One of an ensemble: `[B, inputs]` · `[inputs, outputs]` + `[1, outputs]`."""
    if not _gains(features, weight.numel()):
        return torch.addmm(bias, features, weight)
    return linear(features, weight.t(), bias[0])


def ensemble_gradient_of_inputs(slope: Tensor, weight: Tensor) -> Tensor:
    """`[C, B, outputs]` · `[C, inputs, outputs]`ᵀ -> `[C, B, inputs]`, without a graph."""
    if not _gains(slope[0], weight[0].numel()):
        return torch.bmm(slope, weight.transpose(1, 2))
    return torch.stack([_product(g, w) for w, g in zip(weight, slope, strict=True)])


def ensemble_gradient_of_weight(slope: Tensor, features: Tensor, *, out: Tensor) -> None:
    """`[C, B, inputs]`ᵀ · `[C, B, outputs]` -> `[C, inputs, outputs]` into `out`, as above."""
    if slope.dtype is not out.dtype:
        out.copy_(torch.bmm(features.transpose(1, 2), slope))
        return
    if not _gains(slope[0], out[0].numel()):
        torch.bmm(features.transpose(1, 2), slope, out=out)
        return
    for x, g, into in zip(features, slope, out, strict=True):
        into.copy_(_product(x.t(), g.t()))


def _gains(features: Tensor, weight_size: int) -> bool:
    rows = features.numel() // features.shape[-1]
    return (
        _TAKES_ONEDNN
        and rows * weight_size >= _MIN_PRODUCTS
        and features.dtype is torch.float32
        and features.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def _product(
    left: Tensor, right: Tensor, bias: Tensor | None = None, activation: str = "none"
) -> Tensor:
    """`[..., K]` · `[N, K]`ᵀ -> `[..., N]`."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, activation, [], "")
    return result


class _Linear(torch.autograd.Function):
    """The product with its two gradients, ∂x = ∂y · W and ∂W = ∂yᵀ · x."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        return _product(features, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        features, weight = ctx.saved_tensors
        for_features, for_weight, for_bias = ctx.needs_input_grad
        flat = slope.reshape(-1, slope.shape[-1])
        return (
            _product(slope, weight.t()) if for_features else None,
            _product(flat.t(), features.reshape(-1, features.shape[-1]).t())
            if for_weight
            else None,
            flat.sum(0) if for_bias else None,
        )


class _EnsembleLinear(torch.autograd.Function):
    """The same for C members, one after the other: oneDNN has no batched form of its products."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(features, weight)
        members = zip(features, weight, bias, strict=True)
        return torch.stack([_product(x, w.t(), b[0]) for x, w, b in members])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        features, weight = ctx.saved_tensors
        for_features, for_weight, for_bias = ctx.needs_input_grad
        members = list(zip(features, weight, slope, strict=True))
        return (
            torch.stack([_product(g, w) for _, w, g in members]) if for_features else None,
            torch.stack([_product(x.t(), g.t()) for x, _, g in members]) if for_weight else None,
            slope.sum(1, keepdim=True) if for_bias else None,
        )
