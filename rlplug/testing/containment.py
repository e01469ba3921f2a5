"""Where a value leaves its space, in words that name the index."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


def where_outside(space: spaces.Space[Any], value: Any, name: str) -> str:
    """What is wrong with a value, as words that follow the environment's name; empty where nothing.

    Args:
        space: What was declared.
        value: What came.
        name: Of the value, such as `observation`.
    """
    if isinstance(space, spaces.Dict):
        return _in_dict(space, value, name)
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple) or len(value) != len(space.spaces):
            return f"{name} is {_kind(value)}, expected a tuple of {len(space.spaces)}"
        parts = enumerate(zip(space.spaces, value, strict=True))
        found = (where_outside(*pair, f"{name}[{index}]") for index, pair in parts)
        return next(filter(None, found), "")
    if isinstance(space, spaces.Box):
        return _in_box(space, value, name)
    if isinstance(space, spaces.Discrete):
        is_number = isinstance(value, int | np.integer) and not isinstance(value, bool)
        inside = is_number and space.start <= value < space.start + space.n
        wanted = f"a whole number from {space.start} to {space.start + space.n - 1}"
        return "" if inside else f"{name} is {_kind(value)}, expected {wanted}"
    return "" if space.contains(value) else f"{name} is {_kind(value)}, expected one of {space}"


def _in_dict(space: spaces.Dict[Any], value: Any, name: str) -> str:
    if not isinstance(value, dict) or set(value) != set(space.spaces):
        has = f"has the keys {sorted(value)}" if isinstance(value, dict) else f"is {_kind(value)}"
        return f"{name} {has}, expected a dict of {sorted(space.spaces)}"
    found = (
        where_outside(part, value[key], f"{name}[{key!r}]") for key, part in space.spaces.items()
    )
    return next(filter(None, found), "")


def _in_box(space: spaces.Box[Any], value: Any, name: str) -> str:
    if not isinstance(value, np.ndarray | np.generic):
        return f"{name} is {_kind(value)}, expected an array of shape {space.shape} {space.dtype}"
    if value.shape != space.shape or value.dtype != space.dtype:
        got = f"has shape {value.shape} and dtype {value.dtype}"
        return f"{name} {got}, expected {space.shape} and {space.dtype}"
    inside = (value >= space.low) & (value <= space.high)  # NaN compares false
    if inside.all():
        return ""
    at = tuple(int(axis) for axis in np.argwhere(~inside)[0])
    place = f"[{', '.join(map(str, at))}]" if at else ""
    bounds = f"[{space.low[at]}, {space.high[at]}]"
    return f"{name}{place} is {np.asarray(value)[at]}, outside its bounds {bounds}"


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} {value.dtype}"
    return f"{value!r:.60} ({type(value).__name__})"
