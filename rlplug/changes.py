"""Large arrays of which little changes at a time: which rows were written since they were saved.

Shared by what keeps such arrays (the replay) and what saves them (checkpoints), which do not import
each other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rlplug.data import Array

SMALLEST_BYTES = 16 << 20
"""Arrays below this are saved whole."""
BLOCK_BYTES = 1 << 20
"""About how much is saved anew where a single row changed."""


class LentBlock:
    """The rows of a block as they were when it was lent, for one who reads them later, and once.

    They are the array's own rows until the array is about to be written to; then they are a copy.
    So a save needs neither time nor memory for what does not change while it is written.
    """

    def __init__(self, rows: Array, *, is_copy: bool) -> None:
        self.dtype, self.shape = rows.dtype, rows.shape
        self._rows: Array | None = rows
        self._is_copy = is_copy
        self._lock = threading.Lock()

    def keep(self) -> None:
        """The rows are about to change: copy them, unless they were given already."""
        with self._lock:
            self._copy()

    def give(self) -> Array:
        """The rows, which are the caller's then."""
        with self._lock:
            self._copy()
            rows, self._rows = self._rows, None
        if rows is None:
            raise ValueError("a block that was lent is given once")
        return rows

    def _copy(self) -> None:
        if self._rows is not None and not self._is_copy:
            self._rows, self._is_copy = self._rows.copy(), True


class Changes:
    """Which blocks of rows of one array were written to since they were last saved.

    Who writes to the array calls `about_to_write` before and `note` after it.
    """

    def __init__(self, num_rows: int, row_bytes: int) -> None:
        self.block_rows = max(BLOCK_BYTES // max(row_bytes, 1), 1)
        self.changed = np.ones(-(-num_rows // self.block_rows), dtype=np.bool_)
        """`[blocks]`; at first nothing is saved."""
        self._lent: dict[int, LentBlock] = {}

    def about_to_write(self, rows: Array) -> None:
        """These rows `[M]` will be written: blocks of them that a save has yet to read are kept."""
        if self._lent:
            for block in np.unique(rows // self.block_rows).tolist():
                if lent := self._lent.pop(block, None):
                    lent.keep()

    def note(self, rows: Array) -> None:
        """These rows `[M]` were written."""
        self.changed[rows // self.block_rows] = True

    def clear(self, lent: Mapping[int, LentBlock] | None = None) -> None:
        """All rows are as they were saved, once the blocks that were lent for it are written."""
        self.changed[:] = False
        self._lent = dict(lent or {})


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

    def lend(self, blocks: Iterable[int]) -> dict[int, LentBlock]:
        """These blocks as they are now; with that, all of the array counts as saved."""
        in_memory = isinstance(self.rows, np.ndarray)
        lent = {
            block: LentBlock(
                self.block(block) if in_memory else self.block(block).copy(), is_copy=not in_memory
            )
            for block in blocks
        }
        self.changes.clear(lent)
        return lent
