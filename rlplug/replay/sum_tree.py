"""A sum tree with wide nodes: priorities at the leaves, the sum of every node one level up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rlplug.data import Array

_WIDTH = 16
"""Children of a node."""
_ROOT_WIDTH = 256
"""Most children of the root, which one search serves for all draws."""


class SumTree:
    """Non-negative float64 priorities, drawn in proportion by `find`.

    Each level is one vectorised step, and a million leaves are four levels. Every sum is taken
    afresh from its children when one of them changes, so that rounding does not add up over a
    run, and a tree that was restored from its leaves is the same to the bit.
    """

    def __init__(self, size: int) -> None:
        # _nodes[0] holds the leaves, each later one the sums of the one before: [nodes, width]
        self._nodes: list[Array] = []
        sums = size
        while sums > _ROOT_WIDTH or not self._nodes:
            nodes = -(-sums // _WIDTH)
            self._nodes.append(np.zeros((nodes, _WIDTH)))
            sums = nodes
        self._root: Array = np.zeros(sums)
        self.priorities: Array = self._nodes[0].reshape(-1)[:size]
        """`[size]` the leaves; written by `set` only."""

    @property
    def total(self) -> float:
        """Sum of all priorities."""
        return float(self._root.sum())

    @property
    def nbytes(self) -> int:
        """Memory of all levels."""
        return sum(level.nbytes for level in self._nodes) + self._root.nbytes

    def set(self, index: Array, priority: Array | float) -> None:
        """Write `[B]` priorities to the leaves `[B]`; where one comes twice, the last counts."""
        self.priorities[index] = priority
        for below, above in pairwise((*self._nodes, self._root)):
            index = index // _WIDTH
            above.reshape(-1)[index] = below.take(index, axis=0).sum(axis=1)

    def find(self, mass: Array) -> Array:
        """`[B]` the leaf on which each mass falls when the priorities lie end to end.

        A leaf of priority 0 is never returned while any other is positive: rounding may leave a
        mass just beyond the last sum of a node, and it is then pulled back inside.

        Args:
            mass: `[B]` in [0, total).
        """
        draw = np.arange(len(mass))
        ends = np.cumsum(self._root)
        mass = np.minimum(mass, np.nextafter(ends[-1], 0.0))
        node = ends.searchsorted(mass, side="right")
        mass = mass - np.where(node > 0, ends[node - 1], 0.0)
        edges = np.zeros(
            (len(mass), _WIDTH + 1)
        )  # child c of a draw's node lies in edges[c : c + 2]
        for level in reversed(self._nodes):
            np.cumsum(level.take(node, axis=0), axis=1, out=edges[:, 1:])
            mass = np.minimum(mass, np.nextafter(edges[:, -1], 0.0))
            child = (edges[:, 1:] > mass[:, None]).argmax(axis=1)
            mass = mass - edges[draw, child]
            node = node * _WIDTH + child
        return node
