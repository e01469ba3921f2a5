"""Action masks that an environment gives in its infos, moved to where algorithms read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlplug.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from rlplug.data import Array, Tree

    Env = gymnasium.Env[Any, Any]
    Info = dict[str, Any]

MASK_KEY = "action_mask"
OBSERVATION_KEY = "observation"
"""Of an observation that was no Dict, once there is a mask beside it."""


def fold_mask(env: Env) -> Env:
    """Fold `info["action_mask"]` into the observation; an environment that gives none stays as is.

    Infos are not declared, so the environment is reset once to look.
    """
    seen = env.observation_space
    if isinstance(seen, spaces.Dict) and MASK_KEY in seen.spaces:
        return env
    if not isinstance(env.action_space, spaces.Discrete | spaces.MultiDiscrete):
        return env
    _, info = env.reset()
    return MaskFromInfo(env) if MASK_KEY in info else env


class MaskFromInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The observation with the mask beside it, under `action_mask`: 1 where an action is allowed.

    So the mask of the next observation is stored and learned from like any other part of it.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        actions = env.action_space
        size = int(actions.n) if isinstance(actions, spaces.Discrete) else int(actions.nvec.sum())  # type: ignore[attr-defined]  # MultiDiscrete
        seen = env.observation_space
        parts = dict(seen.items()) if isinstance(seen, spaces.Dict) else {OBSERVATION_KEY: seen}
        self.observation_space = spaces.Dict({**parts, MASK_KEY: spaces.MultiBinary(size)})
        self._is_dict = isinstance(seen, spaces.Dict)
        self._size = size

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tree, Info]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(observation, self._mask(info)), info

    def step(self, action: Any) -> tuple[Tree, Any, bool, bool, Info]:
        """Play one step; what a terminated episode shows last needs no mask."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated and MASK_KEY not in info:
            mask = np.ones(self._size, np.int8)
        else:
            mask = self._mask(info)
        return self._with_mask(observation, mask), reward, terminated, truncated, info

    def _with_mask(self, observation: Tree, mask: Array) -> Tree:
        parts = dict(observation) if self._is_dict else {OBSERVATION_KEY: observation}
        return {**parts, MASK_KEY: mask}

    def _mask(self, info: Info) -> Array:
        mask = np.asarray(info.get(MASK_KEY, ()))
        if mask.shape != (self._size,):
            raise EnvironmentFaultError(
                f"info[{MASK_KEY!r}] has shape {mask.shape}, expected ({self._size},) for actions "
                f"in {self.env.action_space}, at every reset and step. Correct the environment, or "
                "ignore its masks: --env.action_mask observation"
            )
        return mask.astype(np.int8)
