"""Recurrent layers: one step at a time while acting, whole sequences at once while learning.

A state is one array `[N, S]`, zeros at the start of an episode, so that it is stored, reset and
sent like any other array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

if TYPE_CHECKING:
    from torch import Tensor


class Packing(NamedTuple):
    """What makes sequences of rows `[B]`: all first steps, then all second steps, and so on.

    Sequences are in order of falling length, so that those that have a step are always the first.
    """

    batch_sizes: Tensor
    """`[L]` int64, on the CPU: sequences that have a step of this number."""
    initial_state: Tensor
    """`[P, S]` state before the first row of each sequence."""


class Recurrent(nn.Module):
    """An LSTM or a GRU of one layer, weights orthogonal and biases 0 at the start.

    Args:
        kind: `lstm` or `gru`.
        num_inputs: D of the features.
        hidden_size: H of what comes out.
    """

    def __init__(self, kind: Literal["lstm", "gru"], num_inputs: int, hidden_size: int) -> None:
        super().__init__()
        layer = nn.LSTM if kind == "lstm" else nn.GRU
        self.layer = layer(num_inputs, hidden_size)
        self.parts = 2 if kind == "lstm" else 1
        self.state_size = self.parts * hidden_size
        """S: an LSTM's state is its output and its cell, side by side."""
        for name, parameter in self.layer.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.orthogonal_(parameter)

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step `[N, D]` from state `[N, S]`: output `[N, H]` and the next state `[N, S]`."""
        output, after = self.layer(features.unsqueeze(0), self._split(state))
        parts = after if self.parts == 2 else (after,)
        return output[0], torch.cat([part[0] for part in parts], dim=1)

    def forward(self, features: Tensor, packing: Packing) -> Tensor:
        """`[B, D]` rows in the order of `packing` -> `[B, H]`."""
        sequences = PackedSequence(features, packing.batch_sizes)
        output: PackedSequence = self.layer(sequences, self._split(packing.initial_state))[0]
        return output.data

    def _split(self, state: Tensor) -> Tensor | tuple[Tensor, ...]:
        parts = tuple(part.contiguous() for part in state.unsqueeze(0).chunk(self.parts, dim=2))
        return parts if self.parts == 2 else parts[0]
