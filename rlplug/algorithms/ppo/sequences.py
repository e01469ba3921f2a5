"""Which rows of a rollout follow each other inside an episode, for recurrent networks.

A sequence is a run of valid rows of one environment and one episode. It begins with the recurrent
state that acting had there, and nothing of it leaks into the next: no state is reset inside one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from rlplug.nn.recurrent import Packing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlplug.data import Array, Rollout


class Sequences(NamedTuple):
    """P sequences among flat rows; all `[P]` int64."""

    first: Array
    """Row of the first step."""
    stride: Array
    """Rows from one step to the next: N of its rollout."""
    length: Array
    """Steps."""
    successor: Array
    """Row of the observation that followed the last step."""
    environment: Array
    """Which environment it was played in, over all rollouts."""


def find_sequences(rollout: Rollout) -> Sequences:
    """The sequences of one rollout, ordered by environment, then time.

    Rows are `t * N + n`; after these T * N come the F final observations, then the N next ones.
    """
    valid, over = rollout.valid, rollout.episode_over
    num_steps, num_envs = valid.shape
    goes_on = np.zeros_like(valid)
    goes_on[1:] = valid[:-1] & ~over[:-1]
    # by environment, then time: [N, T]
    begins = (valid & ~goes_on).T
    environment, start = np.nonzero(begins)
    number = begins.ravel().cumsum() - 1  # of the sequence that a row belongs to
    length = np.bincount(number[valid.T.ravel()], minlength=len(start))
    last = start + length - 1

    final = np.full((num_steps, num_envs), -1)
    t, n = rollout.final_steps.T
    final[t, n] = num_steps * num_envs + np.arange(len(t))
    after_rollout = num_steps * num_envs + len(t) + environment
    at_end = final[last, environment]
    return Sequences(
        first=start * num_envs + environment,
        stride=np.full_like(start, num_envs),
        length=length,
        successor=np.where(at_end >= 0, at_end, after_rollout),
        environment=environment,
    )


def joined(parts: Sequence[Sequences], num_rows: Sequence[int]) -> Sequences:
    """The sequences of several rollouts, of so many rows, whose rows follow each other."""
    rows = environments = 0
    shifted = []
    for sequences, count in zip(parts, num_rows, strict=True):
        environment = sequences.environment + environments
        shifted.append(sequences._replace(first=sequences.first + rows, environment=environment))
        rows += count
        environments = environment.max(initial=environments - 1) + 1
    return Sequences(*(np.concatenate(columns) for columns in zip(*shifted, strict=True)))


def packed(
    sequences: Sequences, recurrent_state: torch.Tensor, *, with_successor: bool = False
) -> tuple[torch.Tensor, Packing]:
    """Rows `[B]` int64 of all sequences, and how these make them up for a recurrent network.

    Args:
        sequences: All of them are packed.
        recurrent_state: `[rows, S]` state before each row.
        with_successor: Add the observation that followed to the end of each sequence.
    """
    first, stride, length, successor, _ = sequences
    num_steps = int(length.max()) + with_successor
    step = np.arange(num_steps)[:, None]  # [L, P] with the rest
    rows = np.where(step < length, first + step * stride, successor)
    exists = step < length + with_successor
    device = recurrent_state.device
    packing = Packing(
        place=torch.as_tensor(np.flatnonzero(exists), device=device),
        num_steps=num_steps,
        initial_state=recurrent_state[torch.as_tensor(first, device=device)],
    )
    return torch.as_tensor(rows[exists], device=device), packing
