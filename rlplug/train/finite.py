"""Finding what is not a number before it is reported or saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The first name whose tensor holds NaN or an infinity."""
    return next((name for name, one in tensors.items() if not _is_finite(one)), None)


def not_a_number(state: Any) -> str | None:
    """Where in a nested state the first NaN is, as a dotted name; infinities may be meant."""
    return next((name for name, is_nan in _leaves(state, "") if is_nan), None)


def _is_finite(tensor: Tensor) -> bool:
    # A sum is finite only where all that is summed is: several times faster than asking each, and
    # each is asked where sound numbers add up to more than a float holds.
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if bool(torch.isfinite(tensor.sum())):
        return True
    return bool(torch.isfinite(tensor).all())


def _leaves(state: Any, name: str) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it holds NaN) of every array and number in a state."""
    if isinstance(state, dict):
        for key, part in state.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    elif isinstance(state, list | tuple):
        for index, part in enumerate(state):
            yield from _leaves(part, f"{name}.{index}" if name else str(index))
    elif isinstance(state, torch.Tensor):
        yield name, not _is_finite(state) and bool(torch.isnan(state).any())
    elif isinstance(state, float | np.ndarray) and np.asarray(state).dtype.kind in "fc":
        yield name, bool(np.isnan(state).any())
