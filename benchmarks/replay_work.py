"""What every contender of `benchmarks.replay` is given: the same steps to store, and what to build.

Contenders run in environments that have numpy in common and no more: nothing else is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
    Draw: TypeAlias = Callable[[int, int], None]
    """Makes `count` minibatches of `batch_size`."""

EPISODE_LENGTH = 200
VECTOR_SHAPE = (4,)
STACK_SHAPE = (4, 84, 84)
NUM_ACTIONS = 4


class Work(NamedTuple):
    """A replay to fill, and how it is drawn from."""

    observation: Literal["vectors", "stacks"]
    capacity: int
    is_prioritized: bool
    is_lean: bool = False
    """In the form of the contender that needs least memory."""


class Filled(NamedTuple):
    """A full replay."""

    nbytes: int
    """Of all arrays."""
    draws: dict[str, Draw]
    """Ways to draw; where the work is prioritised, priorities are written back after each
    minibatch."""


def episodes(work: Work) -> Iterator[tuple[Array, Array]]:
    """Episodes of observations `[L, *obs]` and what followed them `[L, *obs]`, to fill it once.

    They end by termination; each action is 0 and each reward 1.
    """
    rng = np.random.default_rng(0)
    for _ in range(-(-work.capacity // EPISODE_LENGTH)):
        if work.observation == "vectors":
            shown = rng.random((EPISODE_LENGTH + 1, *VECTOR_SHAPE), dtype=np.float32)
        else:
            depth, *size = STACK_SHAPE
            frames = rng.integers(256, size=(EPISODE_LENGTH + 1, *size), dtype=np.uint8)
            frames = np.concatenate((np.repeat(frames[:1], depth - 1, axis=0), frames))
            windows = np.lib.stride_tricks.sliding_window_view(frames, depth, axis=0)
            shown = np.ascontiguousarray(windows.transpose(0, 3, 1, 2))
        yield shown[:-1], shown[1:]


def arrays_nbytes(holder: object) -> int:
    """Bytes of the arrays among an object's attributes."""
    return sum(value.nbytes for value in vars(holder).values() if isinstance(value, np.ndarray))
