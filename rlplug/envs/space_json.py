"""Gymnasium spaces as JSON, so that a trained policy loads without building its environment."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium

    from rlplug.data import Array

SPACES_FILE = "spaces.json"
"""What a run folder keeps the spaces of its environment in."""
MOST_NUMBERS = 10_000_000
"""In an observation or an action; an image of 1,000 by 1,000 in colour has three million."""

Json = dict[str, Any]


def spaces_to_json(
    observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> Json:
    """Both spaces of one environment, in strict JSON (infinities are the string "inf")."""
    return {
        "observation_space": space_to_json(observation_space),
        "action_space": space_to_json(action_space),
    }


def spaces_from_json(stored: Json) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """The observation space and the action space from `spaces_to_json`.

    Raises:
        ValueError: one is larger than any that is trained on; no memory was taken for it.
    """
    for name in ("observation_space", "action_space"):
        if (numbers := _count(stored[name])) > MOST_NUMBERS:
            raise ValueError(f"its {name} has {numbers:,} numbers, more than {MOST_NUMBERS:,}")
    return (
        space_from_json(stored["observation_space"]),
        space_from_json(stored["action_space"]),
    )


def _count(stored: Json) -> int:
    """Numbers, or choices, in a stored space: what memory is taken for."""
    own: dict[str, Callable[[], Any]] = {
        "Box": lambda: math.prod(stored["shape"]),
        "Discrete": lambda: stored["n"],
        "MultiDiscrete": lambda: sum(stored["nvec"]),
        "MultiBinary": lambda: math.prod(np.atleast_1d(stored["n"]).tolist()),
        "Text": lambda: stored["max_length"],
    }
    if stored["kind"] in own:
        return abs(int(own[stored["kind"]]()))
    parts = [stored.get(name) for name in ("feature_space", "node_space", "edge_space")]
    parts += [part[1] if isinstance(part, list) else part for part in stored.get("spaces", [])]
    return sum(_count(part) for part in parts if part is not None)


@singledispatch
def space_to_json(space: gymnasium.Space[Any]) -> Json:
    """One space; a subclass is stored as the Gymnasium space it derives from.

    Raises:
        TypeError: for a space that is none of Gymnasium's.
    """
    known = ", ".join(sorted(_BUILDERS))
    raise TypeError(f"Cannot store the space {space!r} as JSON. Use Gymnasium's own: {known}.")


def space_from_json(stored: Json) -> gymnasium.Space[Any]:
    """The space that `space_to_json` stored."""
    return _BUILDERS[stored["kind"]](stored)


def _numbers(values: Array) -> Any:
    """A nested list, or one number where all are the same: an image's bounds are two numbers."""
    # by their bits, which tell 0.0 from -0.0
    if values.size and values.tobytes() == np.full_like(values, values.flat[0]).tobytes():
        return _finite(values.flat[0].tolist())
    return _finite(values.tolist())


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if value in {np.inf, -np.inf} else value  # JSON has no infinity


def _array(stored: Any, shape: list[int], dtype: str) -> Array:
    values = np.array(stored, dtype)
    return values.reshape(shape) if isinstance(stored, list) else np.full(shape, values)


@space_to_json.register
def _box_to_json(space: spaces.Box) -> Json:
    stored = {
        "kind": "Box",
        "shape": list(space.shape),
        "dtype": space.dtype.name,
        "low": _numbers(space.low),
        "high": _numbers(space.high),
    }
    if space.dtype.kind == "i":  # an unbounded integer is stored as the dtype's own bound
        stored["bounded_below"] = _numbers(space.bounded_below)
        stored["bounded_above"] = _numbers(space.bounded_above)
    return stored


def _box(stored: Json) -> spaces.Box[Any]:
    shape, dtype = stored["shape"], stored["dtype"]
    low, high = _array(stored["low"], shape, dtype), _array(stored["high"], shape, dtype)
    box = spaces.Box(low, high, dtype=np.dtype(dtype).type)
    if "bounded_below" in stored:
        box.bounded_below = _array(stored["bounded_below"], shape, "bool")
        box.bounded_above = _array(stored["bounded_above"], shape, "bool")
    return box


@space_to_json.register
def _discrete_to_json(space: spaces.Discrete) -> Json:
    return {
        "kind": "Discrete",
        "n": int(space.n),
        "start": int(space.start),
        "dtype": space.dtype.name,
    }


def _discrete(stored: Json) -> spaces.Discrete[Any]:
    if stored["dtype"] == "int64":  # the only one that Gymnasium before 1.3 knows
        return spaces.Discrete(stored["n"], start=stored["start"])
    return spaces.Discrete(stored["n"], start=stored["start"], dtype=stored["dtype"])


@space_to_json.register
def _multi_discrete_to_json(space: spaces.MultiDiscrete) -> Json:
    return {
        "kind": "MultiDiscrete",
        "nvec": space.nvec.tolist(),
        "start": space.start.tolist(),
        "dtype": space.dtype.name,
    }


def _multi_discrete(stored: Json) -> spaces.MultiDiscrete[Any]:
    dtype = np.dtype(stored["dtype"])
    return spaces.MultiDiscrete(
        np.array(stored["nvec"], dtype), dtype.type, start=np.array(stored["start"], dtype)
    )


@space_to_json.register
def _multi_binary_to_json(space: spaces.MultiBinary) -> Json:
    return {"kind": "MultiBinary", "n": space.n if isinstance(space.n, int) else list(space.n)}


@space_to_json.register
def _text_to_json(space: spaces.Text) -> Json:
    return {
        "kind": "Text",
        "min_length": space.min_length,
        "max_length": space.max_length,
        "characters": "".join(space.character_list),
    }


def _text(stored: Json) -> spaces.Text:
    return spaces.Text(
        stored["max_length"], min_length=stored["min_length"], charset=stored["characters"]
    )


@space_to_json.register
def _dict_to_json(space: spaces.Dict) -> Json:
    # pairs, for a JSON object would turn integer keys into strings
    pairs = [[key, space_to_json(part)] for key, part in space.items()]
    return {"kind": "Dict", "spaces": pairs}


def _dict(stored: Json) -> spaces.Dict[Any]:
    return spaces.Dict([(key, space_from_json(part)) for key, part in stored["spaces"]])


@space_to_json.register
def _tuple_to_json(space: spaces.Tuple) -> Json:  # type: ignore[type-arg]
    return {"kind": "Tuple", "spaces": [space_to_json(part) for part in space]}


@space_to_json.register
def _one_of_to_json(space: spaces.OneOf) -> Json:  # type: ignore[type-arg]
    return {"kind": "OneOf", "spaces": [space_to_json(part) for part in space.spaces]}


@space_to_json.register
def _sequence_to_json(space: spaces.Sequence) -> Json:
    feature = space_to_json(space.feature_space)
    return {"kind": "Sequence", "feature_space": feature, "stack": space.stack}


@space_to_json.register
def _graph_to_json(space: spaces.Graph) -> Json:
    edges = space.edge_space
    return {
        "kind": "Graph",
        "node_space": space_to_json(space.node_space),
        "edge_space": None if edges is None else space_to_json(edges),
    }


def _graph(stored: Json) -> spaces.Graph:
    edges = stored["edge_space"]
    return spaces.Graph(
        space_from_json(stored["node_space"]), None if edges is None else space_from_json(edges)
    )


def _parts(stored: Json) -> list[gymnasium.Space[Any]]:
    return [space_from_json(part) for part in stored["spaces"]]


_BUILDERS: dict[str, Callable[[Json], gymnasium.Space[Any]]] = {
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": lambda stored: spaces.MultiBinary(stored["n"]),
    "Text": _text,
    "Dict": _dict,
    "Tuple": lambda stored: spaces.Tuple(_parts(stored)),
    "OneOf": lambda stored: spaces.OneOf(_parts(stored)),
    "Sequence": lambda stored: spaces.Sequence(
        space_from_json(stored["feature_space"]), stack=stored["stack"]
    ),
    "Graph": _graph,
}
