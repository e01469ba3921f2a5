"""Small environments for the conformance kit: any spaces, two kinds of ends, nothing to learn much.

`World` plays with any kind of observation and action; `make_probe` and its vector form are the
probe environments by name. All are named by import strings, so that another process builds the
same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.specs import EnvironmentSpec
from rlplug.testing.probes import PROBES
from rlplug.testing.scripted import Episode, ScriptedEnv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlplug.data import Array, Tree

SIDE = 36
"""Pixels of the smallest image that the Nature CNN takes."""
_LENGTHS = ((5, "terminated"), (7, "truncated"), (4, "truncated"), (6, "terminated"))
"""Steps of successive episodes, and how they end."""


def observation_space(kind: str, parts: Sequence[str] = ("box",)) -> spaces.Space[Any]:
    """A small space of a kind; dicts and tuples have a space of each kind in `parts`."""
    if kind in {"dict", "tuple"}:
        return _composed(kind, [observation_space(part) for part in parts])
    simple: dict[str, spaces.Space[Any]] = {
        "box": spaces.Box(-1.0, 1.0, (3,), np.float32),
        "image": spaces.Box(0, 255, (4, SIDE, SIDE), np.uint8),
        "discrete": spaces.Discrete(5),
        "multi-discrete": spaces.MultiDiscrete([4, 3]),
        "multi-binary": spaces.MultiBinary(4),
    }
    return simple[kind]


def action_space(kind: str, parts: Sequence[str] = ("discrete",)) -> spaces.Space[Any]:
    """A small space of a kind; dicts and tuples have a space of each kind in `parts`."""
    if kind in {"dict", "tuple"}:
        return _composed(kind, [action_space(part) for part in parts])
    simple: dict[str, spaces.Space[Any]] = {
        "discrete": spaces.Discrete(3),
        "multi-discrete": spaces.MultiDiscrete([2, 3]),
        "multi-binary": spaces.MultiBinary(2),
        "image": spaces.Box(0, 255, (2, 2, 1), np.uint8),
        "box": spaces.Box(
            np.array([-2.0, 1.0], np.float32), np.array([2.0, 5.0], np.float32), dtype=np.float32
        ),
    }
    return simple[kind]


def _composed(kind: str, parts: list[spaces.Space[Any]]) -> spaces.Space[Any]:
    if kind == "tuple":
        return spaces.Tuple(parts)
    return spaces.Dict({f"part {index}": part for index, part in enumerate(parts)})


class World(gymnasium.Env[Any, Any]):
    """Episodes of a few steps that terminate and truncate in turn, in any spaces.

    An action earns what its own numbers and the place in the episode make of it, between -1 and 1.

    Args:
        observation: Kind of the observation space.
        action: Kind of the action space.
        observation_parts: Kinds within a dict or tuple of observations.
        action_parts: Kinds within a dict or tuple of actions.
        nan_after: Steps of this environment after which its reward is not a number; None never.
    """

    def __init__(
        self,
        observation: str = "box",
        action: str = "discrete",
        observation_parts: Sequence[str] = ("box",),
        action_parts: Sequence[str] = ("discrete",),
        nan_after: int | None = None,
    ) -> None:
        self.observation_space = observation_space(observation, observation_parts)
        self.action_space = action_space(action, action_parts)
        self._nan_after = nan_after
        self._episode = -1
        self._steps = 0
        self._all_steps = 0
        self._start = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tree, dict[str, Any]]:
        """Begin an episode at a place drawn at random."""
        super().reset(seed=seed, options=options)
        self._episode += 1
        self._steps = 0
        self._start = int(self.np_random.integers(50))
        return self._show(self.observation_space), {}

    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, Any]]:
        """Earn, and go one place on."""
        if not self.action_space.contains(action):
            raise ValueError(f"Action {action!r} is not in {self.action_space}.")
        numbers = np.asarray(spaces.flatten(self.action_space, action), np.float64)
        place = self._start + self._steps
        reward = float(np.cos(numbers @ np.arange(1, len(numbers) + 1) + place))
        self._steps += 1
        self._all_steps += 1
        if self._nan_after is not None and self._all_steps > self._nan_after:
            reward = float("nan")
        length, how = _LENGTHS[self._episode % len(_LENGTHS)]
        over = self._steps == length
        shown = self._show(self.observation_space)
        return shown, reward, over and how == "terminated", over and how == "truncated", {}

    def _show(self, space: spaces.Space[Any]) -> Tree:
        """What the present place looks like in a space."""
        place = self._start + self._steps
        if isinstance(space, spaces.Dict):
            return {key: self._show(part) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(self._show(part) for part in space.spaces)
        if space.dtype == np.uint8 and len(space.shape or ()) == 3:
            return np.stack([self._frame(self._steps - age) for age in (3, 2, 1, 0)])
        return self._numbers(space, place)

    @staticmethod
    def _numbers(space: spaces.Space[Any], place: int) -> Array:
        """A place as a small array or number of a space."""
        if isinstance(space, spaces.Discrete):
            return np.asarray(place % space.n, space.dtype)[()]
        if isinstance(space, spaces.MultiDiscrete):
            return (place % space.nvec).astype(space.dtype)
        assert space.shape is not None
        count = np.arange(1, 1 + space.shape[0])
        if isinstance(space, spaces.MultiBinary):
            return (place // 2 ** (count - 1) % 2).astype(space.dtype)
        return np.cos(place * count).astype(np.float32)

    def _frame(self, step: int) -> Array:
        """A bright square that moves; frames before the episode are black."""
        frame = np.zeros((SIDE, SIDE), np.uint8)
        if step >= 0:
            corner = 4 * ((self._start + step) % 8)
            frame[corner : corner + 6, 12:24] = 255
            frame[0, step % SIDE] = 128  # no two frames of an episode are the same
        return frame

    def get_state(self) -> dict[str, Any]:
        """What the rest of the episode depends on, beside the generator."""
        return {
            "episode": self._episode,
            "steps": self._steps,
            "all_steps": self._all_steps,
            "start": self._start,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from `get_state()`."""
        self._episode, self._steps = state["episode"], state["steps"]
        self._all_steps, self._start = state["all_steps"], state["start"]


_WORLD = f"{World.__module__}:{World.__name__}"
WORLD = EnvironmentSpec(
    name=_WORLD,  # which a worker finds without a registry
    summary="Short episodes in any spaces",
    make=_WORLD,
)
PROBE = EnvironmentSpec(
    name="conformance-probe",
    summary="A probe environment",
    make="rlplug.testing.worlds:make_probe",
)
SCRIPT = EnvironmentSpec(
    name="conformance-script",
    summary="A script of episodes under any autoreset mode",
    make="rlplug.testing.worlds:make_scripted",
    make_vector="rlplug.testing.worlds:make_scripted_vector",
)


def make_probe(probe: str) -> gymnasium.Env[Any, Any]:
    """One of `PROBES`."""
    return PROBES[probe].make()


_SCRIPT = (
    Episode((1.0, 0.5, 2.0)),
    Episode((0.5, -1.0), "truncated"),
    Episode((0.0, 1.0, 1.0, -0.5), "truncated"),
)


def make_scripted(mode: str = "SameStep", *, action: str, first: int = 0) -> ScriptedEnv:
    """A script of three episodes, from the one with number `first` on."""
    del mode
    episodes = [*_SCRIPT[first:], *_SCRIPT[:first]]
    return ScriptedEnv(episodes, action_space=action_space(action))


def make_scripted_vector(
    num_envs: int, render_mode: str | None = None, *, mode: str = "SameStep", action: str
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Scripted environments, out of step with each other, under one of the autoreset modes."""
    del render_mode
    makers = [partial(make_scripted, action=action, first=index % 3) for index in range(num_envs)]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode(mode))
