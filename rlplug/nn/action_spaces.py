"""From an action space to the distributions over its actions, and between their two terms.

    actions = distribution_for(space)                         # a module of the policy's network
    head = nn.Linear(num_features, actions.num_parameters)
    distribution = actions.build(head(features))
    action = distribution.sample(generator)                   # in the distribution's terms
    env.step(actions.to_environment(action))                  # in the space's terms

A distribution counts from 0, keeps its choices in one axis and spans a bounded Box by [−1, 1]; the
space has its own start, shape, bounds and dtype. A Gaussian's draws may leave the bounds:
`to_environment` does not clip them, so that `from_environment` gives back what was drawn.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import optree
import torch
from gymnasium import spaces
from torch import nn

from rlplug.errors import IncompatibleError
from rlplug.nn.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import gymnasium
    from torch import Tensor

    from rlplug.data import Tree
    from rlplug.nn.distributions import Distribution

    Space = gymnasium.Space[Any]

BoxKind = Literal["gaussian", "squashed"]
LogStdKind = Literal["free", "state"]

_LOG_STD_RANGE = (-20.0, 2.0)
"""Of a network's output; the bounds of the code that Haarnoja et al. 2018 published."""
_MOST_CHOICES = 4096
"""Outputs that a bounded Box of integers may ask for."""


class ActionDistribution(Protocol):
    """An nn.Module, part of a policy, that builds distributions over one space of actions."""

    num_parameters: int
    """`P`, what a network outputs for each row."""

    def build(self, parameters: Tensor, mask: Tree = None) -> Distribution:
        """The distribution of `[B, P]` parameters; `[B]` stands for any leading axes.

        `mask` is true where an action is allowed: `[B, n]` for Discrete, `[B, Σ nvec]` for
        MultiDiscrete, and for Dict and Tuple a tree of these with None for a part without one.
        """
        ...

    def to_environment(self, action: Tree) -> Tree:
        """From the distribution's terms to the space's: its start, shape, bounds and dtype."""
        ...

    def from_environment(self, action: Tree) -> Tree:
        """From the space's terms to the distribution's."""
        ...


def distribution_for(
    space: Space,
    *,
    box: BoxKind = "gaussian",
    log_std: LogStdKind = "free",
    initial_log_std: float = 0.0,
) -> ActionDistribution:
    """The module (an `ActionDistribution`) that fits `space`.

    Args:
        space: Discrete, MultiDiscrete, MultiBinary, Box, or a Dict or Tuple of these. A bounded
            Box of integers is a choice for each number.
        box: `gaussian` for any Box; `squashed` by a tanh for one that is bounded on all sides.
        log_std: `free` learns one per dimension beside the network, `state` takes it from the
            network's output.
        initial_log_std: where `free` starts, and what `state` adds to the network's output.

    Raises:
        IncompatibleError: a space that has no such distribution.
    """

    def leaf(part: Space) -> ActionDistribution:
        match part:
            case spaces.Discrete():
                return CategoricalActions(part)
            case spaces.MultiDiscrete():
                return MultiCategoricalActions(part, part.nvec, part.start)
            case spaces.MultiBinary():
                return BernoulliActions(part)
            case spaces.Box() if np.issubdtype(part.dtype, np.integer):
                return _integer_choices(part)
            case spaces.Box():
                return BoxActions(part, box, log_std, initial_log_std)
        raise IncompatibleError(
            f"No distribution over actions in {part}; expected Discrete, MultiDiscrete, "
            "MultiBinary, Box, or a Dict or Tuple of them. Wrap the environment."
        )

    tree = _map_leaves(leaf, space)
    return ProductActions(tree) if isinstance(tree, dict | tuple) else tree


def _map_leaves(leaf: Callable[[Space], Any], space: Space) -> Tree:
    if isinstance(space, spaces.Dict):
        return {key: _map_leaves(leaf, part) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_map_leaves(leaf, part) for part in space)
    return leaf(space)


class CategoricalActions(nn.Module):
    """Discrete actions, from the space's start on."""

    def __init__(self, space: spaces.Discrete) -> None:
        super().__init__()
        self.num_parameters = int(space.n)
        self.start = int(space.start)
        self.dtype = _torch_dtype(space)

    def build(self, parameters: Tensor, mask: Tensor | None = None) -> Categorical:
        """From `[B, n]` logits."""
        return Categorical(parameters, mask)

    def to_environment(self, action: Tensor) -> Tensor:
        """`[B]` -> `[B]`."""
        return (action + self.start).to(self.dtype)

    def from_environment(self, action: Tensor) -> Tensor:
        """`[B]` -> `[B]` int64."""
        return action.long() - self.start


class MultiCategoricalActions(nn.Module):
    """Several choices at once, each from its own start on."""

    start: Tensor

    def __init__(self, space: Space, sizes: Any, start: Any) -> None:
        super().__init__()
        self.shape = _shape(space)
        self.dtype = _torch_dtype(space)
        self.sizes = tuple(int(size) for size in np.ravel(sizes))
        self.num_parameters = sum(self.sizes)
        first = torch.from_numpy(np.ravel(start).astype(np.int64))
        self.register_buffer("start", first, persistent=False)

    def build(self, parameters: Tensor, mask: Tensor | None = None) -> MultiCategorical:
        """From `[B, Σ sizes]` logits."""
        return MultiCategorical(parameters, self.sizes, mask)

    def to_environment(self, action: Tensor) -> Tensor:
        """`[B, K]` -> `[B, *shape]`."""
        return _in_shape(action + self.start, self.shape).to(self.dtype)

    def from_environment(self, action: Tensor) -> Tensor:
        """`[B, *shape]` -> `[B, K]` int64."""
        return _in_one_axis(action, self.shape).long() - self.start


def _integer_choices(space: spaces.Box) -> MultiCategoricalActions:
    sizes = space.high.astype(np.float64) - space.low + 1
    if not space.is_bounded() or sizes.sum() > _MOST_CHOICES:
        raise IncompatibleError(
            f"Actions in {space} are integers with {sizes.sum():.0f} values to choose from; "
            f"expected at most {_MOST_CHOICES}. Give the environment a Box of floats."
        )
    return MultiCategoricalActions(space, sizes, space.low)


class BernoulliActions(nn.Module):
    """Bits."""

    def __init__(self, space: spaces.MultiBinary) -> None:
        super().__init__()
        self.shape = _shape(space)
        self.dtype = _torch_dtype(space)
        self.num_parameters = prod(self.shape)

    def build(self, parameters: Tensor, mask: None = None) -> Bernoulli:
        """From `[B, K]` log-odds."""
        _refuse_mask(mask, "MultiBinary")
        return Bernoulli(parameters)

    def to_environment(self, action: Tensor) -> Tensor:
        """`[B, K]` -> `[B, *shape]`."""
        return _in_shape(action, self.shape).to(self.dtype)

    def from_environment(self, action: Tensor) -> Tensor:
        """`[B, *shape]` -> `[B, K]` int64."""
        return _in_one_axis(action, self.shape).long()


class BoxActions(nn.Module):
    """Numbers; where a dimension has two bounds, they are at −1 and 1 of the distribution."""

    center: Tensor
    half_width: Tensor
    log_std: nn.Parameter | None

    def __init__(
        self, space: spaces.Box, box: BoxKind, log_std: LogStdKind, initial_log_std: float
    ) -> None:
        super().__init__()
        if box == "squashed" and not space.is_bounded():
            raise IncompatibleError(
                f"A squashed Gaussian needs bounds on all sides, got {space}. Use a Gaussian "
                "without squashing, or wrap the environment."
            )
        self.family = SquashedGaussian if box == "squashed" else DiagonalGaussian
        self.shape = _shape(space)
        self.dtype = _torch_dtype(space)
        self.initial_log_std = initial_log_std
        size = prod(self.shape)
        is_free = log_std == "free"
        self.num_parameters = size if is_free else 2 * size
        self.log_std = nn.Parameter(torch.full((size,), initial_log_std)) if is_free else None
        center, half_width = _center_and_half_width(space)
        self.register_buffer("center", center, persistent=False)
        self.register_buffer("half_width", half_width, persistent=False)

    def build(self, parameters: Tensor, mask: None = None) -> DiagonalGaussian | SquashedGaussian:
        """From `[B, D]` means and, unless these are free, `[B, D]` log standard deviations."""
        _refuse_mask(mask, "Box")
        if self.log_std is not None:
            return self.family(parameters, self.log_std)
        mean, log_std = parameters.chunk(2, dim=-1)
        return self.family(mean, (log_std + self.initial_log_std).clamp(*_LOG_STD_RANGE))

    def slope_of_parameters(
        self, built: SquashedGaussian, of_mean: Tensor, of_log_std: Tensor
    ) -> Tensor:
        """From slopes `[B, D]` at what `build` made of `[B, 2 · D]` parameters to that at these.

        None comes from beyond the range of the log standard deviation.
        """
        low, high = _LOG_STD_RANGE
        log_std = built.gaussian.log_std
        inside = (log_std > low).logical_and_(log_std < high)
        return torch.cat((of_mean, of_log_std * inside), dim=1)

    def to_environment(self, action: Tensor) -> Tensor:
        """`[B, D]` -> `[B, *shape]`."""
        return _in_shape(self.center + self.half_width * action, self.shape).to(self.dtype)

    def from_environment(self, action: Tensor) -> Tensor:
        """`[B, *shape]` -> `[B, D]` float32."""
        flat = _in_one_axis(action, self.shape).to(self.center.dtype)
        return (flat - self.center) / self.half_width


class ProductActions(nn.Module):
    """A dict or tuple of actions, each with its own distribution."""

    def __init__(self, parts: Tree) -> None:
        super().__init__()
        leaves, self.structure = optree.tree_flatten(parts)
        self.parts = nn.ModuleList(leaves)
        self.sizes = [int(part.num_parameters) for part in leaves]
        self.num_parameters = sum(self.sizes)

    def build(self, parameters: Tensor, mask: Tree = None) -> Product:
        """From the parameters of all parts, one after the other."""
        own = torch.split(parameters, self.sizes, dim=-1)
        masks = [None] * len(own) if mask is None else self.structure.flatten_up_to(mask)
        return Product(self._each("build", own, masks))

    def to_environment(self, action: Tree) -> Tree:
        """Each part in its space's terms."""
        return self._each("to_environment", self.structure.flatten_up_to(action))

    def from_environment(self, action: Tree) -> Tree:
        """Each part in its distribution's terms."""
        return self._each("from_environment", self.structure.flatten_up_to(action))

    def _each(self, method: str, *arguments: Sequence[Any]) -> Tree:
        results = map(lambda part, *own: getattr(part, method)(*own), self.parts, *arguments)
        return optree.tree_unflatten(self.structure, results)


def _center_and_half_width(space: spaces.Box) -> tuple[Tensor, Tensor]:
    """`[D]` each; 0 and 1 where a side is open, and a width of 1 where the bounds are one."""
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    is_bounded = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)
    half_width = np.where(high > low, (high - low) / 2, 1.0)
    center = (high + low) / 2
    return torch.from_numpy(center).float(), torch.from_numpy(half_width).float()


def _refuse_mask(mask: object, kind: str) -> None:
    if mask is not None:
        raise TypeError(f"A mask on {kind} actions has no meaning here; pass None for that part.")


def _shape(space: Space) -> tuple[int, ...]:
    assert space.shape is not None
    return space.shape


def _torch_dtype(space: Space) -> torch.dtype:
    return torch.from_numpy(np.empty(0, space.dtype)).dtype


def _in_shape(action: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`[..., K]` -> `[..., *shape]`."""
    return action.reshape(*action.shape[:-1], *shape)


def _in_one_axis(action: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`[..., *shape]` -> `[..., K]`."""
    return action.reshape(*action.shape[: action.dim() - len(shape)], prod(shape))
