"""Where stored arrays live: in memory, in a file, or on the device that learns from them."""

from __future__ import annotations

import math
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from rlplug import changes
from rlplug.changes import Changes, ChangingArray
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rlplug.data import Array

_LENT_BYTES = 1 << 19
"""Batches from this size on come in memory that is used again."""
_WHOLE = (np.s_[...],)
_PAIR = (np.s_[:, :-1], np.s_[:, 1:])


class _Lender:
    """Memory for batches of images, lent again once no tensor refers to it.

    Left to the system, freed blocks of this size are given back and faulted in anew for the next
    batch, which can cost more than filling them.
    """

    def __init__(self) -> None:
        # two batches: one in use while the next is built
        self._lent: deque[tuple[Array, list[Callable[[], Array | None]]]] = deque(maxlen=2)

    def lend(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], parts: tuple[Any, ...]
    ) -> tuple[Array, list[Array]]:
        """An array of unset values, and views of its parts: it is lent while any of them lives."""
        block: Array | None = None
        if len(self._lent) == self._lent.maxlen:
            oldest, views = self._lent[0]
            if oldest.shape == shape and all(view() is None for view in views):
                block = oldest
        if block is None:
            block = np.empty(shape, dtype)
        lent = [block[part] for part in parts]
        self._lent.append((block, [weakref.ref(view) for view in lent]))
        return block, lent


class HostColumn:
    """Rows of one array in memory, or in a memory-mapped file."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.changes = _changes(array.shape, array.itemsize)
        self._row_bytes = math.prod(array.shape[1:]) * array.itemsize
        self._lender = _Lender()

    def write(self, index: Array, values: Array) -> None:
        """Put `[M, ...]` values in the rows `[M]`."""
        if self.changes is not None:
            self.changes.about_to_write(index)
            self.changes.note(index)
        self.array[index] = values

    def take(self, index: Array) -> torch.Tensor:
        """A copy of the rows `[...]`."""
        (rows,) = self._take(index, _WHOLE)
        return rows

    def take_pair(self, index: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Two views of one copy of the rows `[M, K + 1]`: the first K of each, and the last K."""
        before, after = self._take(index, _PAIR)
        return before, after

    def _take(self, index: Array, parts: tuple[Any, ...]) -> list[torch.Tensor]:
        """Parts of one copy of the rows, cut by numpy: in a fraction of torch's time."""
        if index.size * self._row_bytes < _LENT_BYTES:
            rows = self.array.take(index, axis=0)
            return [torch.from_numpy(rows[part]) for part in parts]
        shape = (*index.shape, *self.array.shape[1:])
        rows, lent = self._lender.lend(shape, self.array.dtype, parts)
        self.array.take(index, axis=0, out=rows, mode="clip")
        return [torch.from_numpy(part) for part in lent]

    def head(self, rows: int | None = None) -> Array:
        """A view of the first rows, or of all."""
        return self.array[:rows]

    def saved(self, rows: int) -> Array | ChangingArray:
        """The first rows as a leaf of a state: by blocks where they are many."""
        view = self.array[:rows]
        return view if self.changes is None else ChangingArray(view, self.changes)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.array.nbytes


class DeviceColumn:
    """Rows of one array beside the network: only indices travel when they are read."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        self.changes = _changes(tuple(tensor.shape), tensor.element_size())

    def write(self, index: Array, values: Array) -> None:
        """Send `[M, ...]` values to the rows `[M]`."""
        self.tensor.index_copy_(0, self._there(index), self._there(values))
        if self.changes is not None:
            self.changes.note(index)

    def take(self, index: Array) -> torch.Tensor:
        """A copy of the rows `[...]`, on the device."""
        rows = self.tensor.index_select(0, self._there(index.reshape(-1)))
        return rows.view(*index.shape, *rows.shape[1:])

    def take_pair(self, index: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Two views of one copy of the rows `[M, K + 1]`: the first K of each, and the last K."""
        rows = self.take(index)
        before, after = (rows[part] for part in _PAIR)
        return before, after

    def head(self, rows: int | None = None) -> Array:
        """The first rows, or all, fetched from the device."""
        array: Array = self.tensor[:rows].cpu().numpy()
        return array

    def saved(self, rows: int) -> Array | ChangingArray:
        """The first rows as a leaf of a state: by blocks where they are many."""
        if self.changes is None:
            return self.head(rows)
        return ChangingArray(self.tensor[:rows], self.changes)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.tensor.nbytes

    def _there(self, array: Array) -> torch.Tensor:
        return torch.tensor(array, device=self.tensor.device)


Column: TypeAlias = HostColumn | DeviceColumn


def _changes(shape: tuple[int, ...], item_bytes: int) -> Changes | None:
    """Of a column that is large enough to be saved by blocks."""
    row_bytes = math.prod(shape[1:]) * item_bytes
    is_large = shape[0] * row_bytes >= changes.SMALLEST_BYTES
    return Changes(shape[0], row_bytes) if is_large else None


class Place:
    """Makes columns in memory, in numbered files of a folder, or on a device."""

    def __init__(
        self,
        storage: Literal["memory", "disk", "device"] = "memory",
        *,
        device: str = "cpu",
        directory: Path | None = None,
    ) -> None:
        if storage == "disk" and directory is None:
            raise ConfigError(
                "replay.storage is 'disk', and there is no folder to keep its files in. "
                "Give the run a folder, or use 'memory'."
            )
        self._storage = storage
        self._device = device
        self._directory = directory
        self._num_files = 0

    def column(self, rows: int, like: Array) -> Column:
        """A column of zeros for rows such as those of `like` `[M, ...]`.

        In memory and in a file, a page takes room once a row in it is written.
        """
        shape = (rows, *like.shape[1:])
        if self._storage == "device":
            dtype = torch.from_numpy(np.empty(0, like.dtype)).dtype
            return DeviceColumn(torch.zeros(shape, dtype=dtype, device=self._device))
        if self._storage == "memory" or self._directory is None:
            return HostColumn(np.zeros(shape, like.dtype))
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"column-{self._num_files}.npy"
        self._num_files += 1
        file = np.lib.format.open_memmap(path, mode="w+", dtype=like.dtype, shape=shape)
        return HostColumn(np.asarray(file))

    def beside(self) -> Place:
        """For few rows, which grow in number: on the device too, but never in a file."""
        return Place("device", device=self._device) if self._storage == "device" else Place()


def grown(column: Column, rows: int, place: Place) -> Column:
    """A copy of the column with more rows."""
    old = column.head()
    new = place.column(rows, old)
    new.write(np.arange(len(old)), old)
    return new
