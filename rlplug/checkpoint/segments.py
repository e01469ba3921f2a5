"""Large arrays on disk by blocks: each save writes the blocks that changed, and links the others.

A checkpoint's folder holds, beside its components, `segment-000000012.safetensors` and so on.
Every segment was written by one save, with the blocks that had changed by then; a later checkpoint
has the same file by a hard link. So each folder is complete in itself, removing one needs no
accounts, and the file system drops a segment with the last checkpoint that needs it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rlplug.checkpoint.tensor_file import (
    ITEM_BYTES,
    FileDigest,
    StoredArray,
    dtype_name,
    read_into,
    read_layout,
    unusable,
    write_tensor_file,
)
from rlplug.durable import sync_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.changes import ChangingArray, LentBlock
    from rlplug.data import Array

_NOWHERE = -1
_MOST_SEGMENTS = 64
"""A segment that holds less than this part of all blocks is written anew with the next one."""


class BlockLayout(NamedTuple):
    """How an array is cut into blocks; the node `$blocks` of a state's structure."""

    array: str
    """Its name among the arrays of the component, where the segment of each block stands."""
    dtype: str
    shape: tuple[int, ...]
    block_rows: int

    @property
    def num_blocks(self) -> int:
        """Blocks; the last may be shorter."""
        return -(-self.shape[0] // self.block_rows)

    @property
    def row_bytes(self) -> int:
        """Of one row."""
        return math.prod(self.shape[1:]) * ITEM_BYTES[self.dtype]

    def rows_of(self, block: int) -> tuple[int, int]:
        """First row of a block, and the first after it."""
        return block * self.block_rows, min((block + 1) * self.block_rows, self.shape[0])


class _Stored(NamedTuple):
    """Where the blocks of one array are on disk."""

    layout: BlockLayout
    segment: Array
    """`[blocks]` int64; `_NOWHERE` for one that is not on disk as it is."""


class BlockTable(NamedTuple):
    """Stands in a component for the array that says which segment each block is in."""

    key: str


class Segments:
    """The blocks of a run's large arrays: which segment of the newest checkpoint has each.

    A save calls `begin`, `take` for each array, `write` and, once the checkpoint is in its place,
    `done`. One that fails leaves what it took marked as not on disk, and the next takes it again.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, _Stored] = {}
        self._files: dict[int, FileDigest] = {}
        self._folder: Path | None = None
        self._taken: dict[str, LentBlock] = {}
        self._writing: tuple[dict[str, Array], dict[int, FileDigest]] = ({}, {})

    def adopt(
        self,
        folder: Path,
        arrays: Mapping[str, tuple[BlockLayout, Array]],
        files: Mapping[int, FileDigest],
    ) -> None:
        """Go on from a checkpoint that was loaded: what it holds need not be written again."""
        self._arrays = {key: _Stored(*stored) for key, stored in arrays.items()}
        self._files, self._folder = dict(files), folder

    def begin(self) -> None:
        """Forget what the last save took."""
        self._taken = {}

    def take(self, key: str, array: ChangingArray) -> BlockTable:
        """Take the blocks that are not on disk as they are now; none is copied before it must."""
        layout = BlockLayout(key, dtype_name(array.rows), array.shape, array.changes.block_rows)
        segment = np.full(layout.num_blocks, _NOWHERE, dtype=np.int64)
        known = self._arrays.get(key)
        if known is not None and _rows_alike(known.layout, layout):
            shared = min(len(segment), len(known.segment))
            segment[:shared] = known.segment[:shared]
            last, size = known.layout.shape[0] // layout.block_rows, layout.shape[0]
            if known.layout.shape[0] != size and last < len(segment):
                segment[last] = _NOWHERE  # it has other rows now
        segment[array.changes.changed[: len(segment)]] = _NOWHERE
        lent = array.lend(np.flatnonzero(segment == _NOWHERE).tolist())
        self._taken |= {f"{key}/{block}": rows for block, rows in lent.items()}
        self._arrays[key] = _Stored(layout, segment)
        return BlockTable(key)

    def write(self, folder: Path) -> dict[int, FileDigest]:
        """Put all segments into the folder of a new checkpoint; returns them by number.

        Raises:
            OSError: if the disk is full or cannot be written.
            CheckpointError: if a segment of the last checkpoint that is to be written anew is
                damaged; its blocks are then taken from memory by the next save.
        """
        number = max(self._files, default=0) + 1
        blocks: dict[str, Array | LentBlock] = dict(self._taken)
        where = {key: stored.segment.copy() for key, stored in self._arrays.items()}
        for old in self._sparse():
            blocks |= self._read_again(old, where)
        files = {}
        for old, digest in self._files.items():
            if any((segment == old).any() for segment in where.values()):
                self._link(old, folder)
                files[old] = digest
        for segment in where.values():
            segment[segment == _NOWHERE] = number
        if blocks:
            files[number] = write_tensor_file(folder / segment_file(number), blocks, "{}")
        self._writing = where, files
        return files

    def table(self, key: str) -> Array:
        """`[blocks]` the segment of each block, of the checkpoint that is being written."""
        return self._writing[0][key]

    def done(self, folder: Path) -> None:
        """The checkpoint that `write` was for is in its place."""
        where, self._files = self._writing
        self._arrays = {
            key: stored._replace(segment=where[key]) for key, stored in self._arrays.items()
        }
        self._folder, self._taken = folder, {}

    def _sparse(self) -> list[int]:
        """Segments of which so little is needed that it is better written anew."""
        live = dict.fromkeys(self._files, 0)
        for layout, segment in self._arrays.values():
            size = layout.block_rows * layout.row_bytes
            for number, count in zip(*np.unique(segment, return_counts=True), strict=True):
                if number != _NOWHERE:
                    live[int(number)] += int(count) * size
        least = sum(live.values()) // _MOST_SEGMENTS
        return [
            number
            for number, size in live.items()
            if 0 < size < max(self._files[number].num_bytes // 2, least)
        ]

    def _read_again(self, number: int, where: dict[str, Array]) -> dict[str, Array]:
        """The blocks that are needed of a segment, to be written to the next one."""
        targets: dict[str, Array] = {}
        blocks: dict[str, Array] = {}
        for key, (layout, _) in self._arrays.items():
            for block in np.flatnonzero(where[key] == number).tolist():
                first, end = layout.rows_of(block)
                stored = StoredArray(
                    layout.dtype,
                    (end - first, *layout.shape[1:]),
                    np.empty((end - first) * layout.row_bytes, np.uint8),
                )
                targets[f"{key}/{block}"], blocks[f"{key}/{block}"] = stored.data, stored.numpy()
        try:
            read_into(self._path(number), self._files[number], targets)
        except Exception:
            for _, segment in self._arrays.values():
                segment[segment == number] = _NOWHERE
            del self._files[number]
            raise
        for segment in where.values():
            segment[segment == number] = _NOWHERE
        return blocks

    def _link(self, number: int, folder: Path) -> None:
        target = folder / segment_file(number)
        try:
            os.link(self._path(number), target, follow_symlinks=False)
        except FileNotFoundError:
            self._arrays, self._files = {}, {}  # all of it is taken from memory next time
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(self._path(number), target)
            sync_file(target)

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / segment_file(number)


def segment_file(number: int) -> str:
    """The name of a segment's file."""
    return f"segment-{number:09d}.safetensors"


def layouts(structure: str) -> list[BlockLayout]:
    """Every array that is stored by blocks, from the structure of a component.

    Raises:
        ValueError, TypeError, KeyError, RecursionError: if `structure` is not one of ours.
    """
    found: list[BlockLayout] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict) and set(node) == {"$blocks"}:
            array, dtype, shape, block_rows = node["$blocks"]
            sizes = [*shape, block_rows]
            if not all(type(size) is int and size >= 0 for size in sizes) or block_rows == 0:
                raise ValueError(f"{array}: {sizes} are not all sizes")
            if dtype not in ITEM_BYTES:
                raise ValueError(f"{array}: there is no type {dtype}")
            found.append(BlockLayout(array, dtype, tuple(shape), block_rows))
        elif isinstance(node, dict | list):
            for part in node.values() if isinstance(node, dict) else node:
                walk(part)

    walk(json.loads(structure))
    return found


def read_blocks(
    folder: Path,
    files: Mapping[int, FileDigest],
    component: str,
    tables: Mapping[str, tuple[BlockLayout, Array]],
) -> dict[str, StoredArray]:
    """Put arrays together from their blocks; memory is taken for what is really there alone.

    Raises:
        CheckpointError: naming the segment that is missing, damaged, or lacks a block.
    """
    wanted: dict[int, dict[str, tuple[str, int, int]]] = {number: {} for number in files}
    for name, (layout, table) in tables.items():
        for block, number in enumerate(table.tolist()):
            if number not in wanted:
                raise unusable(folder / "manifest.json", f"it names no segment {number}")
            wanted[number][f"{component}/{name}/{block}"] = (name, *layout.rows_of(block))
    for number, entries in wanted.items():
        there = read_layout(folder / segment_file(number), files[number]) if entries else {}
        for entry, (name, first, end) in entries.items():
            layout = tables[name][0]
            if there.get(entry) != (layout.dtype, (end - first, *layout.shape[1:])):
                raise unusable(folder / segment_file(number), f"it lacks the block {entry}")
    arrays = {
        name: StoredArray(
            layout.dtype, layout.shape, np.empty(layout.shape[0] * layout.row_bytes, np.uint8)
        )
        for name, (layout, _) in tables.items()
    }
    for number, entries in wanted.items():
        if entries:
            targets = {
                entry: arrays[name].data[
                    first * tables[name][0].row_bytes : end * tables[name][0].row_bytes
                ]
                for entry, (name, first, end) in entries.items()
            }
            read_into(folder / segment_file(number), files[number], targets)
    return arrays


def _rows_alike(one: BlockLayout, other: BlockLayout) -> bool:
    return (one.dtype, one.shape[1:], one.block_rows) == (
        other.dtype,
        other.shape[1:],
        other.block_rows,
    )
