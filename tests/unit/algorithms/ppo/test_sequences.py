"""Which rows follow each other: checked against a walk through every column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rlplug.algorithms.ppo.sequences import find_sequences, joined, packed


def walk(rollout: Any) -> list[tuple[list[int], int, int]]:
    """(rows, row of what followed, environment) of each sequence, by the meaning of the words."""
    num_steps, num_envs = rollout.valid.shape
    finals = [tuple(step) for step in rollout.final_steps]
    found = []
    for n in range(num_envs):
        rows: list[int] = []
        for t in range(num_steps):
            if rollout.valid[t, n]:
                rows.append(t * num_envs + n)
            if rollout.episode_over[t, n]:
                after = num_steps * num_envs + finals.index((t, n))
                found.append((rows, after, n))
                rows = []
        if rows:
            found.append((rows, num_steps * num_envs + len(finals) + n, n))
    return found


def random_rollout(by_hand: Any, seed: int, *, next_step: bool) -> Any:
    """Ends anywhere; under NEXT_STEP the row after each is no transition."""
    rng = np.random.default_rng(seed)
    num_steps, num_envs = int(rng.integers(1, 12)), int(rng.integers(1, 5))
    ends, invalid = {}, []
    for n in range(num_envs):
        t = 0
        if next_step and rng.random() < 0.3:
            invalid.append((0, n))
            t = 1
        while t < num_steps:
            if rng.random() < 0.3:
                ends[t, n] = "terminated"
                if next_step and t + 1 < num_steps:
                    t += 1
                    invalid.append((t, n))
            t += 1
    return by_hand.rollout(num_steps, num_envs, ends=ends, invalid=tuple(invalid), state_size=2)


@pytest.mark.parametrize("next_step", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_sequences_are_what_a_walk_finds(seed: int, next_step: bool, by_hand: Any) -> None:
    rollout = random_rollout(by_hand, seed, next_step=next_step)
    found = find_sequences(rollout)
    rows = [
        list(range(first, first + length * stride, stride))
        for first, stride, length in zip(found.first, found.stride, found.length, strict=True)
    ]
    assert list(zip(rows, found.successor, found.environment, strict=True)) == walk(rollout)


@pytest.mark.parametrize("with_successor", [False, True])
def test_packed_rows_are_all_first_steps_then_all_second_steps(
    with_successor: bool, by_hand: Any
) -> None:
    rollout = by_hand.rollout(3, 2, ends={(0, 1): "truncated"}, state_size=2)
    state = torch.from_numpy(rollout.extras["recurrent_state"]).flatten(0, 1)
    # sequences by environment: rows 0 2 4 then 7; row 1 then 6; rows 3 5 then 8
    rows, packing = packed(find_sequences(rollout), state, with_successor=with_successor)
    if with_successor:
        assert rows.tolist() == [0, 1, 3, 2, 6, 5, 4, 8, 7]
        assert packing.place.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
        assert packing.num_steps == 4
    else:
        assert rows.tolist() == [0, 1, 3, 2, 5, 4]
        assert packing.place.tolist() == [0, 1, 2, 3, 5, 6]
        assert packing.num_steps == 3
    assert torch.equal(packing.initial_state, state[[0, 1, 3]])


def test_joined_sequences_point_into_the_joined_rows(by_hand: Any) -> None:
    first = by_hand.rollout(3, 2, ends={(1, 0): "terminated"})
    second = by_hand.rollout(2, 3, ends={(0, 2): "truncated"})
    both = joined([find_sequences(first), find_sequences(second)], [6, 6])
    expected = [rows for rows, *_ in walk(first)]
    expected += [[row + 6 for row in rows] for rows, *_ in walk(second)]
    rows = [
        list(range(start, start + length * stride, stride))
        for start, stride, length in zip(both.first, both.stride, both.length, strict=True)
    ]
    assert rows == expected
    environments = [n for *_, n in walk(first)] + [n + 2 for *_, n in walk(second)]
    assert both.environment.tolist() == environments
