"""Recurrent layers: sequences at once are the same as step by step."""

from __future__ import annotations

import pytest
import torch

from rlplug.nn.recurrent import Packing, Recurrent


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_packed_sequences_are_what_steps_one_by_one_give(kind: str) -> None:
    layer = Recurrent(kind, 3, 4)  # type: ignore[arg-type]
    lengths = [5, 3, 3, 1]
    features = torch.randn(4, 5, 3)
    initial = torch.randn(4, layer.state_size)
    rows = [(p, step) for step in range(5) for p in range(4) if step < lengths[p]]
    order = torch.randperm(len(rows)).tolist()  # rows may come in any order
    rows = [rows[i] for i in order]
    packing = Packing(torch.tensor([step * 4 + p for p, step in rows]), 5, initial)
    together = layer(torch.stack([features[p, step] for p, step in rows]), packing)
    for p, length in enumerate(lengths):
        state = initial[p : p + 1]
        for step in range(length):
            output, state = layer.step(features[p : p + 1, step], state)
            torch.testing.assert_close(together[rows.index((p, step))], output[0])


@pytest.mark.parametrize(("kind", "state_size"), [("lstm", 8), ("gru", 4)])
def test_state_is_one_array_whose_first_part_is_the_output(kind: str, state_size: int) -> None:
    layer = Recurrent(kind, 3, 4)  # type: ignore[arg-type]
    output, state = layer.step(torch.randn(2, 3), torch.zeros(2, state_size))
    assert state.shape == (2, layer.state_size) == (2, state_size)
    torch.testing.assert_close(state[:, :4], output)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gradients_reach_the_first_step_of_a_sequence_and_no_other_sequence(kind: str) -> None:
    layer = Recurrent(kind, 3, 4)  # type: ignore[arg-type]
    features = torch.randn(5, 3, requires_grad=True)  # rows: a0 b0 a1 b1 a2
    output = layer(features, Packing(torch.arange(5), 3, torch.zeros(2, layer.state_size)))
    output[4].sum().backward()
    assert features.grad is not None
    reached = features.grad.abs().sum(dim=1) > 0
    assert reached.tolist() == [True, False, True, False, True]


def test_biases_start_at_zero_and_weights_orthogonal() -> None:
    layer = Recurrent("gru", 3, 4)
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            short = parameter.T @ parameter
            torch.testing.assert_close(short, torch.eye(len(short)), atol=1e-5, rtol=0)
