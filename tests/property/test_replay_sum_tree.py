"""The sum tree against plain prefix sums, under any sequence of writes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rlplug.replay.sum_tree import SumTree

SIZES = st.sampled_from([1, 2, 15, 16, 17, 256, 257, 4095, 4097, 70_000])


@st.composite
def writes(draw, priority):
    """A size, and batches of (leaf, priority) to write one after the other."""
    size = draw(SIZES)
    leaf = st.one_of(st.integers(0, size - 1), st.sampled_from([0, size - 1]))
    batch = st.lists(st.tuples(leaf, priority), min_size=1, max_size=40)
    return size, draw(st.lists(batch, min_size=1, max_size=6))


def written(size, batches):
    tree, naive = SumTree(size), np.zeros(size)
    for batch in batches:
        index, priority = map(np.array, zip(*batch, strict=True))
        tree.set(index, priority)
        for leaf, value in batch:
            naive[leaf] = value
    return tree, naive


@settings(deadline=None)
@given(case=writes(st.integers(0, 1000).map(float)), seed=st.integers(0, 99))
def test_find_is_a_search_in_the_prefix_sums(case, seed):
    tree, naive = written(*case)
    np.testing.assert_array_equal(tree.priorities, naive)
    assert tree.total == naive.sum()  # whole numbers: sums are exact
    if tree.total == 0:
        return
    ends = naive.cumsum()
    mass = np.random.default_rng(seed).integers(tree.total, size=50).astype(np.float64)
    mass = np.concatenate([mass, [0, tree.total - 1], ends[ends < tree.total][-20:]])
    np.testing.assert_array_equal(tree.find(mass), ends.searchsorted(mass, side="right"))


@settings(deadline=None)
@given(case=writes(st.floats(0, 1e12)), seed=st.integers(0, 99))
def test_find_never_returns_a_leaf_of_priority_zero(case, seed):
    tree, naive = written(*case)
    np.testing.assert_allclose(tree.total, naive.sum(), rtol=1e-12)
    if tree.total == 0:
        return
    edge = np.nextafter(tree.total, [0, np.inf])  # rounding may ask for the total itself
    mass = np.concatenate([np.random.default_rng(seed).random(50) * tree.total, edge, [tree.total]])
    assert (tree.priorities[tree.find(mass)] > 0).all()


@settings(deadline=None)
@given(case=writes(st.floats(0, 1e12)))
def test_tree_restored_from_its_leaves_is_the_same_to_the_bit(case):
    tree, _ = written(*case)
    restored = SumTree(case[0])
    restored.set(np.arange(case[0]), tree.priorities)
    assert restored.total == tree.total
    mass = np.linspace(0, tree.total, 64, endpoint=False)
    if tree.total > 0:
        np.testing.assert_array_equal(restored.find(mass), tree.find(mass))
