"""Arrays and nested states, copied and compared bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import gymnasium

    from rlplug.data import Array, Tree


def draws(space: gymnasium.Space[Any], count: int) -> Tree:
    """`[count, ...]` samples of a space, the same each time."""
    space.seed(0)
    samples = [space.sample() for _ in range(count)]
    return optree.tree_map(lambda *leaves: np.stack(leaves), *samples)


def array(leaf: Any) -> Array:
    """A copy of a tensor or array."""
    if isinstance(leaf, torch.Tensor):
        return leaf.detach().cpu().numpy().copy()
    return np.array(leaf)


def arrays(weights: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of named tensors."""
    return {name: array(tensor) for name, tensor in weights.items()}


def float_arrays(state: Any) -> list[Array]:
    """Copies of the arrays of floats in a nested state."""
    leaves = optree.tree_leaves(state)
    held = [array(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor | np.ndarray)]
    return [leaf for leaf in held if leaf.dtype.kind in "fc"]


def differs(left: list[Array], right: list[Array]) -> bool:
    """Whether two lists of arrays are not the same, bit for bit."""
    return len(left) != len(right) or not all(map(same_array, left, right))


def same_array(left: Array, right: Array) -> bool:
    """Equal in dtype, shape and every bit that counts."""
    return left.dtype == right.dtype and np.array_equal(
        left, right, equal_nan=left.dtype.kind == "f"
    )


def state_differences(left: Any, right: Any) -> list[str]:
    """Dotted names of the leaves in which two states differ; whole branches where those do."""
    names: list[str] = []
    _compare(left, right, "", names)
    return names


def _compare(left: Any, right: Any, name: str, names: list[str]) -> None:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            inner = f"{name}.{key}" if name else str(key)
            if key in left and key in right:
                _compare(left[key], right[key], inner, names)
            else:
                names.append(inner)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            names.append(name)
        else:
            for index, pair in enumerate(zip(left, right, strict=True)):
                _compare(*pair, f"{name}.{index}", names)
    elif isinstance(left, torch.Tensor | np.ndarray) or isinstance(
        right, torch.Tensor | np.ndarray
    ):
        if not same_array(array(left), array(right)):
            names.append(name)
    elif left != right and not (left != left and right != right):  # noqa: PLR0124 - both NaN
        names.append(name)
