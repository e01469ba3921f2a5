"""Large arrays of which little changes at a time: which rows were written since they were saved.

Shared by what keeps such arrays (the replay) and what saves them (checkpoints), which do not import
each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rlplug.data import Array

SMALLEST_BYTES = 16 << 20
"""Arrays below this are saved whole."""
BLOCK_BYTES = 1 << 20
"""About how much is saved anew where a single row changed."""


class Changes:
    """Which blocks of rows of one array were written to since they were last saved."""

    def __init__(self, num_rows: int, row_bytes: int) -> None:
        self.block_rows = max(BLOCK_BYTES // max(row_bytes, 1), 1)
        self.changed = np.ones(-(-num_rows // self.block_rows), dtype=np.bool_)
        """`[blocks]`; at first nothing is saved."""

    def note(self, rows: Array) -> None:
        """These rows `[M]` were written."""
        self.changed[rows // self.block_rows] = True

    def clear(self) -> None:
        """All rows are as they were saved."""
        self.changed[:] = False


class ChangingArray:
    """The first rows of an array that is saved by blocks: a leaf of a state, and a live view."""

    def __init__(self, rows: Any, changes: Changes) -> None:
        self.rows = rows
        """`[M, ...]` of numpy or torch."""
        self.changes = changes

    def __len__(self) -> int:
        return len(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.block(slice(None)), dtype=dtype, copy=copy is not False)

    @property
    def shape(self) -> tuple[int, ...]:
        """`[M, ...]`."""
        return tuple(self.rows.shape)

    @property
    def num_blocks(self) -> int:
        """Blocks of these rows; the last may be shorter."""
        return -(-len(self) // self.changes.block_rows)

    def block(self, index: int | slice) -> Array:
        """The rows of one block, or of a slice: a view where they are in memory."""
        if isinstance(index, int):
            size = self.changes.block_rows
            index = slice(index * size, (index + 1) * size)
        rows = self.rows[index]
        array: Array = rows if isinstance(rows, np.ndarray) else rows.cpu().numpy()
        return array
