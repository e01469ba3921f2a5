"""Checks that what environments return is what they declare.

`SampleCheck` looks at what one environment returns, before a vector environment writes it into
its own arrays and so hides a wrong shape or dtype. `BatchCheck` looks at the values of all of them
at once. Both say what is wrong and raise nothing: who calls them knows the step and the seed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rlplug.data import Array, Tree

logger = logging.getLogger("rlplug.envs")

_BOOL = np.dtype(np.bool_)
_BOOLS = {bool, np.bool_}
_NUMBERS = {float, int, bool, np.float64, np.float32}


class Problem(NamedTuple):
    """What is wrong with a step, and in which environment."""

    text: str
    """Completes "Environment 'x' ..."."""
    environment: int | None
    """Index in the vector environment; None where it concerns all."""


def fault_message(name: str, problem: Problem, *, step: int, seed: int | None) -> str:
    """One sentence: the environment, what is wrong, where and when.

    Args:
        name: Of the environment.
        problem: What is wrong.
        step: Of that environment, or of the vector environment where it concerns all.
        seed: That it was last reset with.
    """
    where = "" if problem.environment is None else f"sub-environment {problem.environment}, "
    seeded = "not seeded" if seed is None else f"seed {seed}"
    return f"Environment {name!r} {problem.text} ({where}step {step:,}, {seeded})."


class SampleCheck:
    """Shape, dtype and type of what one environment returns."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        self.observation = _sample_check(observation_space, "observation")

    def step(
        self, observation: Tree, reward: object, terminated: object, truncated: object
    ) -> str | None:
        """What is wrong with a step, as words that complete "Environment 'x' ...", or None."""
        problem = self.observation(observation)
        if problem is not None:
            return problem
        if type(reward) not in _NUMBERS and not _is_number(reward):
            return f"returned the reward {reward!r} ({_kind(reward)}), expected one number"
        if type(terminated) not in _BOOLS:
            return f"returned terminated {terminated!r} ({_kind(terminated)}), expected a bool"
        if type(truncated) not in _BOOLS:
            return f"returned truncated {truncated!r} ({_kind(truncated)}), expected a bool"
        return None


def _is_number(value: object) -> bool:
    """Whether it is a number of numpy's, as a scalar or an array without axes."""
    if not isinstance(value, np.generic | np.ndarray):
        return False
    return value.ndim == 0 and value.dtype.kind in "biuf"


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} {value.dtype}"
    return type(value).__name__


def _sample_check(space: spaces.Space[Any], path: str) -> Callable[[Any], str | None]:
    if isinstance(space, spaces.Dict):
        return _dict_check(space, path)
    if isinstance(space, spaces.Tuple):
        return _tuple_check(space, path)
    if isinstance(space, spaces.Box):
        return _box_check(space, path)

    def contained(value: Any) -> str | None:
        return None if space.contains(value) else f"returned {path} {value!r}, expected {space}"

    return contained


def _box_check(space: spaces.Box[Any], path: str) -> Callable[[Any], str | None]:
    shape, dtype = space.shape, space.dtype

    def check(value: Any) -> str | None:
        if type(value) is np.ndarray and value.dtype is dtype and value.shape == shape:
            return None
        if isinstance(value, np.ndarray | np.generic):
            if value.shape == shape and value.dtype == dtype:
                return None
            got = f"of shape {value.shape} {value.dtype}"
        else:
            got = f"{value!r} ({_kind(value)})"
        return f"returned {path} {got}, expected shape {shape} {dtype}"

    return check


def _dict_check(space: spaces.Dict[Any], path: str) -> Callable[[Any], str | None]:
    checks = [(key, _sample_check(part, f"{path}[{key!r}]")) for key, part in space.items()]
    keys = set(space)

    def check(value: Any) -> str | None:
        if not isinstance(value, dict) or value.keys() != keys:
            got = f"the keys {sorted(value)}" if isinstance(value, dict) else f"a {_kind(value)}"
            return f"returned {path} with {got}, expected a dict with {sorted(keys)}"
        return next((text for key, part in checks if (text := part(value[key]))), None)

    return check


def _tuple_check(space: spaces.Tuple, path: str) -> Callable[[Any], str | None]:  # type: ignore[type-arg]  # generic from gymnasium 1.3 on
    checks = [_sample_check(part, f"{path}[{i}]") for i, part in enumerate(space)]

    def check(value: Any) -> str | None:
        if not isinstance(value, tuple) or len(value) != len(checks):
            return f"returned {path} {value!r}, expected a tuple of {len(checks)}"
        parts = zip(checks, value, strict=True)
        return next((text for part, item in parts if (text := part(item))), None)

    return check


class BatchCheck:
    """Values of what N environments return: finite, and of the declared shape and dtype.

    Every value of every step is compared with its bounds, where an unbounded value is bounded by
    the largest finite number: one pass finds NaN, infinities and values out of bounds. A value out
    of bounds is reported once, through the logger; from then on only finite numbers are asked for.
    Where an integer has to be in range to mean anything (Discrete and its kin) it is a problem.

    Args:
        observation_space: Of one environment.
        num_envs: `N`.
        name: Of the environment, for the warning.
        quiet: Do not warn of values out of bounds.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], num_envs: int, *, name: str, quiet: bool = False
    ) -> None:
        self._name = name
        self._warns = not quiet
        self._leaves = [
            _LeafCheck(space, num_envs, path) for space, path in _leaf_spaces(observation_space)
        ]
        self._shape = (num_envs,)
        self._reward_limit = float(np.finfo(np.float32).max)

    def reward(self, reward: Any) -> Problem | None:
        """Look at `[N]` rewards before they become float32."""
        if getattr(reward, "shape", None) != self._shape or reward.dtype.kind not in "fiub":
            return Problem(
                f"returned rewards {_kind(reward)}, expected shape {self._shape} float", None
            )
        # So small a sum of squares has no large term; integers are never too large. (numpy's own
        # scalars compare with Python's floats several times slower.)
        if reward.dtype.kind != "f" or float(reward.dot(reward)) <= self._reward_limit:
            return None
        # NaN compares false with everything.
        sound = np.abs(reward) <= self._reward_limit
        if np.count_nonzero(sound) == sound.size:
            return None
        environment = int(np.argmin(sound))
        text = f"returned the reward {reward[environment]}, expected a finite number"
        return Problem(text, environment)

    def ends(self, terminated: Any, truncated: Any) -> Problem | None:
        """Look at `[N]` flags."""
        for name, flags in (("terminated", terminated), ("truncated", truncated)):
            if getattr(flags, "shape", None) != self._shape or flags.dtype is not _BOOL:
                text = f"returned {name} {_kind(flags)}, expected shape {self._shape} bool"
                return Problem(text, None)
        return None

    def observation(self, observation: Tree, environments: Array | None = None) -> Problem | None:
        """Look at an observation `[N, *obs]`, or at `[F, *obs]` of the environments `[F]`."""
        rows = self._shape[0] if environments is None else len(environments)
        for leaf in self._leaves:
            try:
                values = leaf.of(observation)
            except (KeyError, IndexError, TypeError):
                return Problem(f"returned no {leaf.name} in {observation!r}", None)
            if not leaf.is_sound(values, rows):
                problem = self._closer_look(leaf, values, environments)
                # Bounds are wider after a closer look that found nothing worse.
                return problem or self.observation(observation, environments)
        return None

    def _closer_look(
        self, leaf: _LeafCheck, values: Any, environments: Array | None
    ) -> Problem | None:
        """Tell what is wrong; None where it is no more than a value out of bounds."""
        rows = self._shape[0] if environments is None else len(environments)
        expected = (rows, *leaf.low.shape[1:])
        if getattr(values, "shape", None) != expected or values.dtype != leaf.low.dtype:
            wanted = f"expected shape {expected} {leaf.low.dtype}"
            return Problem(f"returned {leaf.name} {_kind(values)}, {wanted}", None)
        outside = ~((values >= leaf.low[:rows]) & (values <= leaf.high[:rows]))
        unusable = outside if leaf.is_index else ~np.isfinite(values)
        position = tuple(np.argwhere(unusable if unusable.any() else outside)[0].tolist())
        environment = position[0] if environments is None else int(environments[position[0]])
        inner = f"[{', '.join(map(str, position[1:]))}]" if position[1:] else ""
        found = f"returned {values[position]} in {leaf.name}{inner}"
        bounds = f"[{leaf.low[position]}, {leaf.high[position]}]"
        if unusable.any():
            wanted = f"a number in {bounds}" if leaf.is_index else "a finite number"
            return Problem(f"{found}, expected {wanted}", environment)
        if self._warns:
            logger.warning(
                "Environment %r (sub-environment %d) %s, outside its bounds %s. "
                "Such values are used as they are; this is said once.",
                *(self._name, environment, found, bounds),
            )
        for each in self._leaves:
            each.accept_all_finite()
        return None


class _LeafCheck:
    """Bounds of one array `[N, ...]` of an observation."""

    def __init__(self, space: spaces.Space[Any], num_envs: int, path: tuple[Any, ...]) -> None:
        assert space.shape is not None
        shape, dtype = (num_envs, *space.shape), np.dtype(space.dtype)
        low, high = _finite_bounds(space)
        self.name = "observation" + "".join(f"[{key!r}]" for key in path)
        self.is_index = not isinstance(space, spaces.Box)
        """Integers that choose one of n: useless out of range."""
        self.low = np.broadcast_to(low.astype(dtype), shape)
        self.high = np.broadcast_to(high.astype(dtype), shape)
        self._path = path
        self._has_bounds = not _spans_dtype(low, high)
        if self._has_bounds:  # contiguous arrays of full size compare fastest
            self.low, self.high = self.low.copy(), self.high.copy()
            self._sound = np.empty((2, *shape), np.bool_)
            self._not_below, self._not_above = self._sound

    def of(self, observation: Tree) -> Any:
        """This array of a whole observation."""
        for key in self._path:
            observation = observation[key]
        return observation

    def is_sound(self, values: Any, rows: int) -> bool:
        """Whether values `[rows, ...]` have the right shape and dtype and are within bounds."""
        low = self.low if rows == len(self.low) else self.low[:rows]
        if getattr(values, "shape", None) != low.shape or values.dtype != low.dtype:
            return False
        if not self._has_bounds:
            return True
        # NaN compares false both times.
        if rows == len(self.low):
            np.greater_equal(values, low, self._not_below)
            np.less_equal(values, self.high, self._not_above)
            return bool(np.count_nonzero(self._sound) == self._sound.size)
        return bool(((values >= low) & (values <= self.high[:rows])).all())

    def accept_all_finite(self) -> None:
        """Go on without the space's bounds."""
        if self.is_index or not self._has_bounds:
            return
        if self.low.dtype.kind == "f":
            self.high[...] = np.finfo(self.high.dtype).max
            self.low[...] = -self.high
        else:
            self._has_bounds = False


def _leaf_spaces(
    space: spaces.Space[Any], path: tuple[Any, ...] = ()
) -> Iterator[tuple[spaces.Space[Any], tuple[Any, ...]]]:
    """The spaces of arrays within a space, each with the keys that lead to it."""
    if isinstance(space, spaces.Dict):
        for key, part in space.items():
            yield from _leaf_spaces(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space):
            yield from _leaf_spaces(part, (*path, index))
    elif isinstance(space, _ARRAY_SPACES):
        yield space, path


_ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def _finite_bounds(space: spaces.Space[Any]) -> tuple[Array, Array]:
    """The least and the greatest number of each position; finite where the space is unbounded."""
    if isinstance(space, spaces.Discrete):
        return np.asarray(space.start), np.asarray(space.start + space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if not isinstance(space, spaces.Box):
        return np.asarray(0), np.asarray(1)
    if space.low.dtype.kind != "f":
        return space.low, space.high
    greatest = np.finfo(space.low.dtype).max
    return np.maximum(space.low, -greatest), np.minimum(space.high, greatest)


def _spans_dtype(low: Array, high: Array) -> bool:
    """Whether every value of an integer dtype is within bounds, so that none has to be checked."""
    if low.dtype.kind not in "iu":
        return low.dtype == np.bool_
    limits = np.iinfo(low.dtype)
    return bool((low == limits.min).all() and (high == limits.max).all())
