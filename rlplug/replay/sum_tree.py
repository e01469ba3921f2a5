"""A sum tree with wide nodes: priorities at the leaves, the sum of every node one level up."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from rlplug.data import Array

_WIDTH = 32
"""Children of a node."""
_ROOT_WIDTH = 4096
"""Most children of the root, which one search serves for all draws."""


class SumTree:
    """Non-negative float64 priorities, drawn in proportion by `find`.

    Each level is one vectorised step, and a million leaves are three levels. Every sum is taken
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
        self._root = _RunningSums(np.zeros(sums))
        self._step = _RunningSums(np.zeros((0, _WIDTH)))
        """Of the nodes that a batch of draws has come to."""
        self._is_stale = False
        """Whether the root has changed since its edges were taken."""
        self.priorities: Array = self._nodes[0].reshape(-1)[:size]
        """`[size]` the leaves; written by `set` only."""

    @property
    def total(self) -> float:
        """Sum of all priorities."""
        if self._is_stale:
            self._root.take()
            self._is_stale = False
        return float(self._root.edges[-1])

    @property
    def nbytes(self) -> int:
        """Memory of all levels."""
        levels = (*self._nodes, self._root.values, self._root.edges)
        return sum(level.nbytes for level in levels)

    def set(self, index: Array, priority: Array | float) -> None:
        """Write `[B]` priorities to the leaves `[B]`; where one comes twice, the last counts."""
        self.priorities[index] = priority
        for below, above in pairwise((*self._nodes, self._root.values)):
            index = index // _WIDTH
            above.reshape(-1)[index] = np.add.reduce(below.take(index, axis=0), axis=1)
        self._is_stale = True

    def find(self, mass: Array) -> Array:
        """`[B]` the leaf on which each mass falls when the priorities lie end to end.

        A leaf of priority 0 is never returned while any other is positive: rounding may leave a
        mass just beyond the last sum of a node, and it is then pulled back inside.

        Args:
            mass: `[B]` in [0, total).
        """
        mass = np.minimum(mass, math.nextafter(self.total, 0.0))
        node = self._root.edges[1:].searchsorted(mass, side="right")
        mass -= self._root.edges.take(node)
        if len(self._step.values) != len(mass):
            self._step = _RunningSums(np.zeros((len(mass), _WIDTH)))
        step = self._step
        for level in reversed(self._nodes):
            level.take(node, axis=0, out=step.values)
            step.take()
            np.minimum(mass, np.nextafter(step.edges[:, -1], 0.0), out=mass)
            child = (step.edges > mass[:, None]).argmax(axis=1) - 1
            mass -= step.edges.take(step.first_edge + child)
            node = node * _WIDTH + child
        return node


class _RunningSums:
    """Running sums along the last axis of an array of values, kept from one batch to the next.

    torch's are numpy's, to the bit, in a fraction of the time. Its views are made once: after a
    batch of images, which leaves little else in the processor's cache, each call costs a few
    times what it does in a loop of its own.
    """

    def __init__(self, values: Array) -> None:
        *rows, width = values.shape
        self.values = values
        self.edges: Array = np.zeros((*rows, width + 1))  # child c lies in [c : c + 2]
        self.first_edge = np.arange(0, self.edges.size, width + 1)
        """`[rows]` of each row, in the flat edges."""
        self._values = torch.from_numpy(values)
        self._sums = torch.from_numpy(self.edges[..., 1:])

    def take(self) -> None:
        """Of the values as they are now."""
        torch.cumsum(self._values, -1, out=self._sums)
