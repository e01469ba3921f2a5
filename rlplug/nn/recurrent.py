"""Recurrent layers: one step at a time while acting, whole sequences at once while learning.

A state is one array `[N, S]`, zeros at the start of an episode, so that it is stored, reset and
sent like any other array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Packing(NamedTuple):
    """How rows `[B]` make up P sequences of at most L steps."""

    place: Tensor
    """`[B]` int64: `step * P + sequence` of each row."""
    num_steps: int
    """L"""
    initial_state: Tensor
    """`[P, S]` state before the first step of each sequence."""


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
        weights = self.layer.all_weights[0]
        if self.parts == 1:
            output = torch.gru_cell(features, state, *weights)
            return output, output
        output, cell = torch.lstm_cell(features, state.chunk(2, dim=1), *weights)
        return output, torch.cat((output, cell), dim=1)

    def forward(self, features: Tensor, packing: Packing) -> Tensor:
        """`[B, D]` rows -> `[B, H]`, each after all earlier ones of its sequence.

        Sequences are filled up to one length: on a processor, torch has a fused LSTM for these, and
        takes up to fifty times as long for its own packed sequences (58 ms for 1 ms).
        """
        place, num_steps, initial_state = packing
        num_sequences, num_inputs = len(initial_state), features.shape[1]
        filled = features.new_zeros(num_steps * num_sequences, num_inputs)
        filled = filled.index_copy(0, place, features).view(num_steps, num_sequences, num_inputs)
        output: Tensor = self.layer(filled, self._split(initial_state))[0]
        return output.flatten(0, 1).index_select(0, place)

    def _split(self, state: Tensor) -> Tensor | tuple[Tensor, ...]:
        parts = tuple(part.contiguous() for part in state.unsqueeze(0).chunk(self.parts, dim=2))
        return parts if self.parts == 2 else parts[0]
