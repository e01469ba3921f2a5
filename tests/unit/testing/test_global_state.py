from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from rlplug.testing.global_state import global_state_changes, isolated


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (random.random, "Python's random generator"),
        (np.random.rand, "numpy's global generator"),
        (lambda: torch.rand(1), "torch's global generator"),
        (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype"),
        (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "torch's number of threads"),
    ],
)
def test_each_change_is_named_and_put_back(act: Any, name: str) -> None:
    assert global_state_changes(act) == [name]
    assert global_state_changes(lambda: None) == []


def test_an_environment_variable_is_global(monkeypatch: pytest.MonkeyPatch) -> None:
    act = lambda: monkeypatch.setenv("CONFORMANCE", "1")  # noqa: E731
    assert global_state_changes(act) == ["the environment variable CONFORMANCE"]


@pytest.mark.parametrize("name", ["TORCHINDUCTOR_CACHE_DIR", "PYGAME_HIDE_SUPPORT_PROMPT"])
def test_what_a_librarys_first_import_sets_is_nobodys_change(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert global_state_changes(lambda: monkeypatch.setenv(name, "as set")) == []


def test_what_is_isolated_starts_alike_and_leaves_nothing() -> None:
    before = random.getstate()
    drawn = []
    for _ in range(2):
        with isolated():
            drawn.append((random.random(), float(torch.rand(1))))
    assert drawn[0] == drawn[1]
    assert random.getstate() == before
