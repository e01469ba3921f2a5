from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlplug.testing.containment import where_outside

BOX = spaces.Box(-1.0, 1.0, (2, 3), np.float32)
BOTH = spaces.Dict({"position": BOX, "lives": spaces.Discrete(3, start=1)})


def within(**changes: Any) -> dict[str, Any]:
    return {"position": np.zeros((2, 3), np.float32), "lives": np.int64(2)} | changes


def with_value(value: float) -> Any:
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    "space", [BOX, BOTH, spaces.Tuple((BOX, spaces.MultiBinary(2))), spaces.MultiDiscrete([2, 3])]
)
def test_samples_are_inside(space: Any) -> None:
    space.seed(0)
    assert not any(where_outside(space, space.sample(), "observation") for _ in range(20))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (within(position=with_value(2.0)), "['position'][1, 2] is 2.0, outside its bounds [-1.0"),
        (within(position=with_value(np.nan)), "['position'][1, 2] is nan, outside"),
        (within(position=np.zeros((2, 3))), "has shape (2, 3) and dtype float64, expected (2, 3)"),
        (within(position=np.zeros(3, np.float32)), "has shape (3,) and dtype float32"),
        (within(position=[0.0]), "is [0.0] (list), expected an array of shape (2, 3) float32"),
        (within(lives=0), "['lives'] is 0 (int), expected a whole number from 1 to 3"),
        (within(lives=True), "['lives'] is True (bool)"),
        ({"lives": 1}, "has the keys ['lives'], expected a dict of ['lives', 'position']"),
        (7, "is 7 (int), expected a dict"),
    ],
)
def test_what_is_outside_is_named(value: Any, words: str) -> None:
    found = where_outside(BOTH, value, "observation")
    assert found.startswith("observation")
    assert words in found


def test_parts_of_a_tuple_are_counted() -> None:
    space = spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(2)))
    assert "observation[1]" in where_outside(space, (1, np.array([0, 2], np.int8)), "observation")
    assert "a tuple of 2" in where_outside(space, (1,), "observation")
