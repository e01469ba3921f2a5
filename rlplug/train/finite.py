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
    return next((name for name, one in tensors.items() if not torch.isfinite(one).all()), None)


def not_a_number(state: Any) -> str | None:
    """Where in a nested state the first NaN is, as a dotted name; infinities may be meant."""
    return next((name for name, is_nan in _leaves(state, "") if is_nan), None)


def _leaves(state: Any, name: str) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it holds NaN) of every array and number in a state."""
    if isinstance(state, dict):
        for key, part in state.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    elif isinstance(state, list | tuple):
        for index, part in enumerate(state):
            yield from _leaves(part, f"{name}.{index}" if name else str(index))
    elif isinstance(state, torch.Tensor):
        yield name, bool(torch.isnan(state).any())
    elif isinstance(state, float | np.ndarray) and np.asarray(state).dtype.kind in "fc":
        yield name, bool(np.isnan(state).any())
