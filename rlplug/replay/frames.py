"""Stacked images, each frame stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

if TYPE_CHECKING:
    import torch

    from rlplug.data import Array, Rollout
    from rlplug.protocols import State
    from rlplug.replay.columns import Column, Place

_ZERO_FRAME = -1
"""The number of the frame of zeros that resets are padded with."""


class FrameRing:
    """One ring of frames per stream, and the numbers that say which frames made a stack.

    An observation that equals the one before it in its stream takes no frame, one that is the
    one before it shifted by one takes a single new frame, and any other is stored whole, where
    repeated frames and zeros (the padding after a reset) take no room. Which case it is, is found
    by comparing the images, so that the very same stacks come back whatever was shown.

    Frames are numbered from 0 in each stream, and no number comes twice. A ring has room for one
    frame per transition and a few more; where episodes are so short that this is not enough,
    `is_kept` tells which stacks have lost a frame.
    """

    def __init__(
        self, capacity: int, depth: int, num_streams: int, like: Array, place: Place
    ) -> None:
        """Room for `capacity` stacks of `depth` frames per stream; `like` `[M, H, W]` is frames."""
        # an episode costs one frame more than it has steps: enough for episodes of 128 and longer
        self.length = capacity + capacity // 128 + 3 * depth
        self.num_streams = num_streams
        self.frames: Column = place.column(self.length * num_streams + 1, like)
        self.written = np.zeros(num_streams, dtype=np.int64)
        self.newest = np.full((num_streams, depth), _ZERO_FRAME, dtype=np.int64)

    def store(
        self, rollout: Rollout, observation: Array, final_observation: Array, following: Array
    ) -> tuple[Array, Array, Array]:
        """Store the stacks of a rollout in the order in which each stream showed them.

        Returns:
            The frame numbers `[..., K]` int64 in place of the images `[..., K, H, W]`.
        """
        depth = observation.shape[2]
        numbers = np.zeros((*rollout.valid.shape, depth), dtype=np.int64)
        final_numbers = np.zeros((len(final_observation), depth), dtype=np.int64)
        final_times, final_columns = rollout.final_steps.T
        for t, valid in enumerate(rollout.valid):
            columns = slice(None) if valid.all() else np.flatnonzero(valid)
            numbers[t, columns] = self._append(rollout.streams[columns], observation[t, columns])
            ended = np.flatnonzero(final_times == t)
            if len(ended):
                streams = rollout.streams[final_columns[ended]]
                final_numbers[ended] = self._append(streams, final_observation[ended])
        return numbers, final_numbers, self._append(rollout.streams, following)

    def show(self, streams: Array, numbers: Array) -> torch.Tensor:
        """The stacks `[M, K, H, W]` made of the frames `[M, K]` of the streams `[M]`."""
        return self.frames.take(self._slots(streams, numbers))

    def show_pair(
        self, streams: Array, before: Array, after: Array
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The stacks `[M, K, H, W]` made of `before` and of `after`, `[M, K]` each.

        Args:
            streams: `[M]` of both.
            before: Frame numbers where transitions began.
            after: And where they led to: one frame later as a rule, so that K + 1 frames are read
                in place of 2 · K.
        """
        half = len(before)
        # as bytes: a quarter of the time of comparing arrays so small
        if before[:, 1:].tobytes() == after[:, :-1].tobytes():
            numbers = np.concatenate((before, after[:, -1:]), axis=1)
            return self.frames.take_pair(self._slots(streams, numbers))
        images = self.show(np.concatenate((streams, streams)), np.concatenate((before, after)))
        return images[:half], images[half:]

    def is_kept(self, numbers: Array) -> Array:
        """`[S]` whether no frame of the stacks `[S, K]`, one per stream, was overwritten."""
        lost = (numbers != _ZERO_FRAME) & (numbers < self.written[:, None] - self.length)
        kept: Array = ~lost.any(axis=1)
        return kept

    @property
    def nbytes(self) -> int:
        """Bytes of all frames and numbers."""
        return self.frames.nbytes + self.written.nbytes + self.newest.nbytes

    def state_dict(self) -> State:
        """The frames written so far, views where they are in memory, and their numbers."""
        filled = min(int(self.written.max()), self.length) * self.num_streams
        return {
            "frames": self.frames.saved(filled),
            "written": self.written.copy(),
            "newest": self.newest.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()` of a ring of the same size."""
        self.frames.write(np.arange(len(state["frames"])), state["frames"])
        self.written[:] = state["written"]
        self.newest[:] = state["newest"]

    def _slots(self, streams: Array, numbers: Array) -> Array:
        """`[M, K]` where the frames `[M, K]` of the streams `[M]` lie."""
        slots: Array = numbers % self.length * self.num_streams + streams[:, None]
        slots[numbers == _ZERO_FRAME] = self.length * self.num_streams
        return slots

    def _append(self, streams: Array, stacks: Array) -> Array:
        """Store one observation `[n, K, H, W]` for each of different streams `[n]`."""
        numbers = self.newest[streams]
        before = self.show(streams, numbers).cpu().numpy()
        same = _equal(stacks, before)
        shifted = ~same & _equal(stacks[:, :-1], before[:, 1:])
        numbers[shifted, :-1] = numbers[shifted, 1:]
        numbers[shifted, -1] = self._write(streams[shifted], stacks[shifted, -1])
        for i in np.flatnonzero(~same & ~shifted):
            numbers[i] = self._write_whole(streams[i : i + 1], stacks[i])
        self.newest[streams] = numbers
        return numbers

    def _write(self, streams: Array, frames: Array) -> Array:
        """Store one frame `[n, H, W]` for each of different streams; returns their numbers."""
        numbers = self.written[streams]
        self.frames.write(numbers % self.length * self.num_streams + streams, frames)
        self.written[streams] += 1
        return numbers

    def _write_whole(self, stream: Array, stack: Array) -> list[int]:
        # The newest frame always gets a number, if only of zeros: a stack without one would count
        # as kept for ever, and hide that the stacks after it have lost frames.
        numbers: list[int] = []
        for k, frame in enumerate(stack):
            if not frame.any() and k < len(stack) - 1:
                numbers.append(_ZERO_FRAME)
            elif numbers and numbers[-1] != _ZERO_FRAME and np.array_equal(frame, stack[k - 1]):
                numbers.append(numbers[-1])
            else:
                numbers.append(int(self._write(stream, frame[None])[0]))
        return numbers


def may_be_stack(space: gymnasium.Space[Any]) -> bool:
    """Whether the space could hold `[K, H, W]` uint8 stacks of frames."""
    return (
        isinstance(space, gymnasium.spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[0] >= 2
    )


def looks_like_stack(
    rollout: Rollout, observation: Array, final_observation: Array, following: Array
) -> bool:
    """Whether `auto` takes these observations `[T, N, K, H, W]` for stacks of frames.

    The shape must be likely: 2 to 8 frames of more than 8 by 8 pixels, but not 3, which are the
    colours of one image. And the content must say so: throughout the first rollout, what was
    shown after a transition is what was shown before it, shifted by one frame.
    """
    depth, height, width = observation.shape[2:]
    if depth not in {2, 4, 5, 6, 7, 8} or min(height, width) <= 8:
        return False
    after = np.concatenate([observation[1:], following[None]])
    times, columns = rollout.final_steps.T
    after[times, columns] = final_observation
    return bool((observation[:, :, 1:] == after[:, :, :-1])[rollout.valid].all())


def _equal(left: Array, right: Array) -> Array:
    """`[n]` whether the stacks `[n, K, H, W]` are the same."""
    same: Array = (left == right).all(axis=(1, 2, 3))
    return same
