from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlplug.train.finite import not_a_number, not_finite


def test_the_first_tensor_that_is_not_finite_is_named() -> None:
    sound = {"a": torch.ones(3), "b": torch.tensor(2), "c": torch.empty(0)}
    assert not_finite(sound) is None
    assert (
        not_finite({**sound, "d": torch.tensor([0.0, -math.inf]), "e": torch.tensor(math.nan)})
        == "d"
    )


@pytest.mark.parametrize(
    "leaf",
    [math.nan, np.array([[0.0, np.nan]]), np.array(np.nan, np.float32), torch.tensor([math.nan])],
)
def test_nan_is_found_however_deep_it_lies(leaf: object) -> None:
    state = {"a": 1, "b": [torch.ones(2), {"c": ("x", None, leaf)}]}
    assert not_a_number(state) == "b.1.c.2"


def test_everything_else_that_a_state_may_hold_is_a_number_enough() -> None:
    state = {
        "text": "nan", "flag": True, "none": None, "count": 3, "infinite": -math.inf,
        "bytes": torch.zeros(2, dtype=torch.uint8), "keys": np.zeros(2, np.uint64), "empty": [],
        "flags": np.array([True]), "names": np.array(["nan"]),
    }  # fmt: skip
    assert not_a_number(state) is None
