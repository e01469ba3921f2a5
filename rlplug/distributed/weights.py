"""Weights on their way to workers: plain arrays, which Ray shares between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rlplug.data import Array, Weights


class PackedWeights(NamedTuple):
    """Weights as workers get them."""

    arrays: dict[str, Array]
    """What were tensors, on whatever device."""
    others: dict[str, Any]
    """What numpy cannot hold (bfloat16), and what was no tensor."""
    order: tuple[str, ...]
    """Their names, as the agent ordered them."""


def pack(weights: Weights) -> PackedWeights:
    """Bring weights to the CPU, as they are now."""
    arrays: dict[str, Array] = {}
    others: dict[str, Any] = {}
    items: Iterable[tuple[str, Any]] = weights.items()  # of another framework, maybe
    for name, value in items:
        if not isinstance(value, torch.Tensor):
            others[name] = value
        elif value.dtype is torch.bfloat16:
            others[name] = value.detach().cpu()
        else:
            arrays[name] = value.detach().cpu().numpy()
    return PackedWeights(arrays, others, tuple(weights))


def unpack(packed: PackedWeights) -> Weights:
    """What `pack` was given, on the CPU and of the caller's own."""
    # Ray's arrays cannot be written to, which torch refuses to share
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in packed.arrays.items()}
    return {name: (tensors | packed.others)[name] for name in packed.order}


class PublishedWeights:
    """The newest weights, packed when the first worker asks for them and not before.

    A learner publishes after every round of updates, whether or not anyone takes them.
    """

    def __init__(self) -> None:
        self.version = 0
        """Updates that have been made to them."""
        self._weights: Callable[[], Weights] | None = None
        self._packed: Any = None
        self._packed_version = -1

    def publish(self, weights: Callable[[], Weights], version: int) -> None:
        """Note where the newest are."""
        self._weights = weights
        self.version = version
        self._packed_version = -1

    def at(self, version: int) -> None:
        """Go on counting from a checkpoint's version; the weights are those of now."""
        self.version = version
        self._packed_version = -1

    def packed(self, put: Callable[[PackedWeights], Any]) -> Any:
        """What `put` makes of the newest; the same object for all workers that ask."""
        if self._weights is None:
            raise RuntimeError("No weights were published: call set_weights before collect.")
        if self._packed_version != self.version:
            self._packed = put(pack(self._weights()))
            self._packed_version = self.version
        return self._packed
