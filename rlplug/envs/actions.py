"""What an environment gets of the action that a policy chose.

Policies speak in the terms of the action space: a `Discrete(3, start=5)` is answered with 5, 6 or
7, a Box with real units. The one difference is the bounds of a Box: a Gaussian may overshoot them,
so the environment gets the action clipped, while what is stored and learned from stays as chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium

    from rlplug.data import Tree


def action_for_environment(space: gymnasium.Space[Any]) -> Callable[[Tree], Tree]:
    """A function from chosen actions, `[...]` or `[N, ...]`, to actions within `space`."""
    return _clipper(space) or _unchanged


def _unchanged(action: Tree) -> Tree:
    return action


def _clipper(space: gymnasium.Space[Any]) -> Callable[[Tree], Tree] | None:
    """Clips to the bounds of every Box inside `space`; None where nothing is bounded."""
    if isinstance(space, spaces.Box):
        return _box_clipper(space)
    if isinstance(space, spaces.Dict):
        parts = {key: _clipper(part) for key, part in space.items()}
        if not any(parts.values()):
            return None
        return lambda action: {
            key: clip(action[key]) if clip else action[key] for key, clip in parts.items()
        }
    if isinstance(space, spaces.Tuple):
        clippers = [_clipper(part) for part in space]
        if not any(clippers):
            return None
        return lambda action: tuple(
            clip(part) if clip else part for clip, part in zip(clippers, action, strict=True)
        )
    return None


def _box_clipper(box: spaces.Box[Any]) -> Callable[[Tree], Tree] | None:
    if not (box.bounded_below.any() or box.bounded_above.any()):
        return None
    low, high, dtype = box.low, box.high, box.dtype

    def clip(action: Tree) -> Tree:
        # two ufuncs: np.clip costs five times as much on the few numbers that an action is
        return np.minimum(np.maximum(action, low), high).astype(dtype, copy=False)

    return clip
