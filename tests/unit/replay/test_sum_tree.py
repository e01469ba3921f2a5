from __future__ import annotations

import numpy as np
import pytest

from rlplug.replay.sum_tree import SumTree


def test_priorities_lie_end_to_end():
    tree = SumTree(5)
    tree.set(np.array([0, 1, 3]), np.array([1.0, 2.0, 4.0]))
    assert tree.total == 7
    mass = np.array([0, 0.9, 1, 2.9, 3, 6.9])
    assert tree.find(mass).tolist() == [0, 0, 1, 1, 3, 3]


def test_last_of_two_writes_to_a_leaf_counts():
    tree = SumTree(300)
    tree.set(np.array([7, 299, 7]), np.array([1.0, 2.0, 5.0]))
    assert tree.priorities[7] == 5
    assert tree.total == 7


def test_draws_of_one_size_do_not_change_those_of_the_next():
    tree = SumTree(5000)
    tree.set(np.arange(5000), np.ones(5000))
    first = tree.find(np.array([3.5, 4321.5]))
    assert tree.find(np.array([17.5, 18.5, 19.5])).tolist() == [17, 18, 19]
    assert tree.find(np.array([4999.5, 0.5])).tolist() == [4999, 0]
    assert first.tolist() == [3, 4321]


@pytest.mark.parametrize("size", [16, 5000])
def test_mass_at_the_very_end_falls_on_the_last_leaf_that_has_any(size):
    # a node's sum and its running sum differ in the last bit for many of these
    for seed in range(300):
        priorities = np.random.default_rng(seed).random(size)
        priorities[[0, 1, -1]] = 0
        tree = SumTree(size)
        tree.set(np.arange(size), priorities)
        assert tree.find(np.array([np.nextafter(tree.total, 0)])) == size - 2


@pytest.mark.parametrize("size", [1, 16, 17, 1_000_000])
def test_memory_is_a_fifteenth_more_than_the_leaves(size):
    assert SumTree(size).nbytes <= 8 * (size * 17 / 16 * 1.01 + 64)
