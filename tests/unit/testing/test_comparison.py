from __future__ import annotations

import numpy as np
import torch

from rlplug.testing.comparison import differs, float_arrays, same_array, state_differences


def test_states_are_compared_leaf_by_leaf() -> None:
    left = {"a": [1, np.zeros(2)], "b": {"c": torch.ones(2)}, "d": float("nan")}
    right = {"a": [1, np.zeros(2)], "b": {"c": torch.ones(2)}, "d": float("nan")}
    assert state_differences(left, right) == []
    right["b"]["c"][1] = 2.0  # type: ignore[index]
    right["a"] = [2, np.zeros(2)]
    assert state_differences(left, right) == ["a.0", "b.c"]
    assert state_differences({"a": 1}, {"b": 1}) == ["a", "b"]
    assert state_differences([1, 2], [1]) == [""]
    assert state_differences({"a": np.zeros(2)}, {"a": None}) == ["a"]


def test_dtype_and_shape_count() -> None:
    assert not same_array(np.zeros(2), np.zeros(2, np.float32))
    assert not same_array(np.zeros(2), np.zeros((2, 1)))
    assert same_array(np.array([np.nan]), np.array([np.nan]))
    assert differs([np.zeros(1)], [])


def test_only_arrays_of_floats_count_as_learned() -> None:
    state = {"rate": 0.5, "weights": torch.ones(2), "generator": torch.zeros(3, dtype=torch.uint8)}
    (only,) = float_arrays(state)
    assert only.tolist() == [1.0, 1.0]
