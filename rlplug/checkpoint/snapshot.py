"""Copies of a state, so that training may go on while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.changes import ChangingArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlplug.checkpoint.folder import Component
    from rlplug.checkpoint.segments import Segments


class Snapshots:
    """Copies prepared components into memory that is used again for the next copy.

    Fresh memory costs as much as the copy itself, because the system hands it out page by page.
    One copy is valid at a time: the next `take` overwrites it.
    """

    def __init__(self, segments: Segments) -> None:
        """Of arrays that are saved by blocks, `segments` takes what changed."""
        self._segments = segments
        self._buffers: dict[tuple[str, str], Any] = {}

    def take(self, parts: Mapping[str, Component]) -> dict[str, Component]:
        """Copy every array; one that two components share is copied once."""
        self._segments.begin()
        buffers: dict[tuple[str, str], Any] = {}
        seen: dict[tuple[Any, ...], Any] = {}
        copies = {}
        for part, component in parts.items():
            leaves: dict[str, Any] = {}
            for name, leaf in component.leaves.items():
                if isinstance(leaf, ChangingArray):
                    leaves[name] = self._segments.take(f"{part}/{name}", leaf)
                    continue
                key = _memory(leaf)
                if key not in seen:
                    seen[key] = self._copy(leaf, (part, name), buffers)
                leaves[name] = seen[key]
            copies[part] = component._replace(leaves=leaves)
        self._buffers = buffers
        return copies

    def _copy(self, leaf: Any, where: tuple[str, str], buffers: dict[tuple[str, str], Any]) -> Any:
        if isinstance(leaf, np.generic):
            return leaf  # cannot change
        buffer = self._buffers.get(where)
        if isinstance(leaf, np.ndarray):
            if type(buffer) is not np.ndarray or (buffer.shape, buffer.dtype) != (
                leaf.shape,
                leaf.dtype,
            ):
                buffer = np.empty(leaf.shape, leaf.dtype)
            np.copyto(buffer, leaf)
        else:
            import torch

            source = leaf.detach()
            if not isinstance(buffer, torch.Tensor) or (buffer.shape, buffer.dtype) != (
                source.shape,
                source.dtype,
            ):
                buffer = torch.empty(source.shape, dtype=source.dtype, device="cpu")
            buffer.copy_(source)
        buffers[where] = buffer
        return buffer


def _memory(leaf: Any) -> tuple[Any, ...]:
    """Equal for two arrays only where they are the same bytes, seen in the same way."""
    if isinstance(leaf, np.ndarray):
        return ("numpy", leaf.ctypes.data, leaf.shape, leaf.strides, leaf.dtype.str)
    if isinstance(leaf, np.generic):
        return ("scalar", id(leaf))
    return (
        "torch",
        leaf.data_ptr(),
        tuple(leaf.shape),
        leaf.stride(),
        str(leaf.dtype),
        leaf.is_conj(),
        leaf.is_neg(),
        str(leaf.device),
    )
