"""Action masks: an observation under the key `action_mask` that says which actions are allowed.

A Dict observation may have it. It is 1 where an action is allowed: `[n]` for Discrete actions,
`[Σ nvec]` for MultiDiscrete, and for Dict actions a Dict of these for the parts that have one.
No network sees it as a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from gymnasium import spaces

from rlplug.errors import IncompatibleError

if TYPE_CHECKING:
    import gymnasium

    from rlplug.data import Tree

    Space = gymnasium.Space[Any]

MASK_KEY = "action_mask"


def without_mask(observation_space: Space, action_space: Space) -> Space:
    """The space of what is left for the network.

    Raises:
        IncompatibleError: the mask does not fit the actions, or nothing is left.
    """
    if not _has_mask(observation_space):
        return observation_space
    parts = dict(observation_space.items())
    _check_fit(parts.pop(MASK_KEY), action_space)
    if not parts:
        raise IncompatibleError(
            f"The observation {observation_space} is a mask of actions and nothing else; put what "
            "the environment shows beside it."
        )
    return spaces.Dict(parts)


class MaskSplitter:
    """Takes the mask out of observations, ready for `ActionDistribution.build`."""

    def __init__(self, observation_space: Space, action_space: Space) -> None:
        self._has_mask = _has_mask(observation_space)
        self._actions = action_space

    def __call__(self, observation: Tree) -> tuple[Tree, Tree]:
        """The observation without its mask, and the mask; None where there is none."""
        if not self._has_mask:
            return observation, None
        visible = {key: part for key, part in observation.items() if key != MASK_KEY}
        return visible, _completed(observation[MASK_KEY], self._actions)


def _has_mask(space: Space) -> TypeGuard[spaces.Dict]:
    return isinstance(space, spaces.Dict) and MASK_KEY in space.spaces


def _completed(mask: Tree, action_space: Space) -> Tree:
    """None for the parts of Dict actions that have no mask."""
    if not isinstance(action_space, spaces.Dict):
        return mask
    return {
        key: _completed(mask[key], part) if key in mask else None
        for key, part in action_space.items()
    }


def _check_fit(mask: Space, action_space: Space) -> None:
    if isinstance(action_space, spaces.Dict) and isinstance(mask, spaces.Dict):
        if not mask.keys() <= action_space.keys():
            raise IncompatibleError(
                f"The action mask is for {', '.join(mask)}; the actions are "
                f"{', '.join(action_space)}. Name the parts alike."
            )
        for key, part in mask.items():
            _check_fit(part, action_space[key])
        return
    expected = _num_choices(action_space)
    if expected is None or mask.shape != (expected,):
        wanted = f"one of shape ({expected},)" if expected else "none: only choices have masks"
        raise IncompatibleError(
            f"The action mask {mask} does not fit actions in {action_space}; expected {wanted}."
        )


def _num_choices(space: Space) -> int | None:
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
    return None
