"""Shapes by name, checked where tensors enter a function.

Broadcasting turns a `[B, 1]` that meets a `[B]` into a silent `[B, B]`; a check at the head of
each loss makes that impossible for about 2 µs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rlplug.errors import ShapeError

if TYPE_CHECKING:
    from torch import Tensor


def check_shapes(where: str, **tensors: tuple[Tensor, str]) -> None:
    """Refuse tensors whose axes do not agree.

        check_shapes("quantile loss", quantiles=(quantiles, "B K"), targets=(targets, "B M"))

    Args:
        where: what the caller calls itself, for the message.
        **tensors: each with its axes; an axis keeps the length that its first tensor gave it.

    Raises:
        ShapeError: names the first tensor that does not fit.
    """
    lengths: dict[str, int] = {}
    for name, (tensor, axes) in tensors.items():
        expected, shape = _split(axes), tensor.shape
        if len(shape) == len(expected):
            for axis, length in zip(expected, shape):  # noqa: B905  # checked, and called often
                if lengths.setdefault(axis, length) != length:
                    break
            else:
                continue
        known = ", ".join(f"{axis}={lengths[axis]}" for axis in expected if axis in lengths)
        raise ShapeError(
            f"{where}: {name} has shape {list(shape)}, expected [{', '.join(expected)}]"
            + (f" with {known}." if known else ".")
        )


@cache
def _split(axes: str) -> tuple[str, ...]:
    return tuple(axes.split())
