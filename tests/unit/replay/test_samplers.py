from __future__ import annotations

import numpy as np
import pytest
import torch

from rlplug.errors import ConfigError, DivergedError
from rlplug.replay.samplers import Spans

PLAIN = {"kind": "prioritized", "priority_exponent": 1.0, "priority_floor": 1e-9}


def draws(replay, count, batch_size):
    """How often each observation was drawn."""
    shown = [batch.observation[:, 0] for batch in replay.minibatches(count, batch_size)]
    return torch.cat(shown).long().bincount(minlength=len(replay)).numpy()


def assert_drawn_in_proportion(counts, probability):
    """Chi-square below its mean plus five standard deviations."""
    expected = counts.sum() * probability / probability.sum()
    freedom = len(counts) - 1
    assert ((counts - expected) ** 2 / expected).sum() < freedom + 5 * (2 * freedom) ** 0.5


def set_priorities(replay, priorities):
    """Write a priority for every row of the only stream."""
    replay.update_priorities(torch.arange(len(priorities)), torch.tensor(priorities))


def test_spans_list_the_rows_of_uneven_streams():
    spans = Spans(np.array([3, 5, 0]), np.array([5, 5, 1]))
    assert len(spans) == 3
    assert spans.all_rows().tolist() == [9, 12, 2]  # index · 3 streams + stream
    assert spans.contains(np.array([9, 12, 2, 6, 15, 16, 5])).tolist() == [True] * 3 + [False] * 4


def test_spans_find_the_newest_row_of_a_slot():
    spans = Spans(np.array([7, 0]), np.array([10, 2]))
    assert spans.row_in(np.array([14, 2, 4, 3]) % 8, num_slots=8).tolist() == [14, 18, 12, 3]


def test_uniform_draws_are_uniform_over_uneven_streams(make_replay, steps):
    replay = make_replay(num_streams=3)
    for stream, (start, length) in enumerate([(0, 20), (20, 3), (23, 30)]):
        replay.add(steps("." * length, start=start, stream=stream))
    assert_drawn_in_proportion(draws(replay, 400, 64), np.ones(53))


def test_uniform_weights_are_one(make_replay, steps):
    replay = make_replay()
    replay.add(steps("..."))
    (batch,) = replay.minibatches(1, 8)
    assert batch.importance_weight.tolist() == [1.0] * 8


def test_uniform_batches_are_the_same_whether_asked_for_together_or_singly(make_replay, steps):
    together, singly = make_replay(seed=3), make_replay(seed=3)
    for replay in (together, singly):
        replay.add(steps("." * 90))
    alone = [next(iter(singly.minibatches(1, 7))) for _ in range(6)]
    for left, right in zip(together.minibatches(6, 7), alone, strict=True):
        assert left.replay_index.tolist() == right.replay_index.tolist()


def test_prioritized_draws_are_proportional_to_the_priorities(make_replay, steps):
    replay = make_replay(sampler=PLAIN)
    replay.add(steps("." * 40))
    priorities = np.linspace(0.1, 5, 40)
    set_priorities(replay, priorities)
    assert_drawn_in_proportion(draws(replay, 400, 64), priorities)


def test_priority_is_its_magnitude_and_the_floor_to_the_exponent(make_replay, steps):
    sampler = {"kind": "prioritized", "priority_exponent": 0.5, "priority_floor": 1.0}
    replay = make_replay(sampler=sampler)
    replay.add(steps("..."))
    set_priorities(replay, [3.0, -8.0, 0.0])
    assert_drawn_in_proportion(draws(replay, 400, 64), np.array([2.0, 3.0, 1.0]))


def test_uniform_mix_is_the_share_of_uniform_draws(make_replay, steps):
    replay = make_replay(sampler={**PLAIN, "uniform_mix": 0.4, "importance_exponent": 1.0})
    replay.add(steps("...."))
    set_priorities(replay, [1.0, 2.0, 2.0, 5.0])
    probability = 0.6 * np.array([0.1, 0.2, 0.2, 0.5]) + 0.4 / 4
    assert_drawn_in_proportion(draws(replay, 400, 64), probability)
    (batch,) = replay.minibatches(1, 64)
    weights = dict(zip(batch.observation[:, 0].tolist(), batch.importance_weight, strict=True))
    assert {row: float(w) for row, w in weights.items()} == pytest.approx(
        dict(enumerate(probability[0] / probability))
    )


def test_a_batch_takes_one_draw_from_each_equal_part_of_the_total(make_replay, steps):
    replay = make_replay(sampler=PLAIN)
    replay.add(steps("." * 16))
    for batch in replay.minibatches(20, 16):  # equal priorities: each part is one row
        assert batch.observation[:, 0].tolist() == list(range(16))


def test_importance_weights_by_hand(make_replay, steps):
    replay = make_replay(sampler={**PLAIN, "importance_exponent": 0.5})
    replay.add(steps(".."))
    set_priorities(replay, [1.0, 4.0])
    (batch,) = replay.minibatches(1, 50)
    # w = (2 · P)^−½ with P = 0.2 and 0.8, over the largest
    expected = [1.0 if row == 0 else (0.2 / 0.8) ** 0.5 for row in batch.observation[:, 0].tolist()]
    assert batch.importance_weight.tolist() == pytest.approx(expected)
    assert batch.importance_weight.dtype == torch.float32
    assert set(batch.observation[:, 0].tolist()) == {0, 1}


def test_batches_drawn_together_are_those_drawn_singly(make_replay, steps):
    together, singly = make_replay(seed=3, sampler=PLAIN), make_replay(seed=3, sampler=PLAIN)
    for replay in (together, singly):
        replay.add(steps("." * 90))
        set_priorities(replay, np.linspace(0.1, 5, 90))
    rows, weights = together._sampler.draw(3, 7)
    for row, weight in zip(rows, weights, strict=True):
        (batch,) = singly.minibatches(1, 7)
        assert batch.replay_index.tolist() == row.tolist()
        assert batch.importance_weight.tolist() == weight.tolist()
        assert weight.max() == 1


def test_importance_exponent_follows_its_schedule(make_replay, steps):
    beta = {"kind": "linear", "start": 0.0, "end": 1.0}
    replay = make_replay(sampler={**PLAIN, "importance_exponent": beta})
    replay.add(steps(".."))
    set_priorities(replay, [1.0, 4.0])
    smallest = []
    for env_steps in (0, 500, 1000):  # of 1000
        replay.set_progress(env_steps)
        (batch,) = replay.minibatches(1, 50)
        smallest.append(float(batch.importance_weight.min()))
    assert smallest == pytest.approx([1.0, 0.5, 0.25])


def test_new_transitions_get_the_highest_priority_so_far(make_replay, steps):
    replay = make_replay(sampler=PLAIN)
    replay.add(steps("...."))
    assert_drawn_in_proportion(draws(replay, 100, 64), np.ones(4))
    set_priorities(replay, [1.0, 6.0, 2.0, 1.0])
    set_priorities(replay, [1.0, 2.0, 2.0, 1.0])  # once so high, always so high
    replay.add(steps(".", start=4))
    assert_drawn_in_proportion(draws(replay, 400, 64), np.array([1.0, 2.0, 2.0, 1.0, 6.0]))


def test_priorities_from_the_policy_are_used_for_new_transitions(make_replay, steps):
    replay = make_replay(sampler=PLAIN | {"new_priority": "policy"}, n_step=2)
    replay.add(steps("...", extras={"priority": [3.0, 1.0, 2.0]}))
    replay.add(steps("t", start=3, extras={"priority": [4.0]}))
    assert_drawn_in_proportion(draws(replay, 400, 64), np.array([3.0, 1.0, 2.0, 4.0]))


def test_priorities_from_the_policy_are_used_where_they_are_asked_for_and_only_there(
    make_replay, steps
):
    highest = make_replay(sampler=PLAIN)
    highest.add(steps("..", extras={"priority": [3.0, 1.0]}))
    assert_drawn_in_proportion(draws(highest, 400, 64), np.ones(2))
    with pytest.raises(ConfigError, match="carry no 'priority'"):
        make_replay(sampler=PLAIN | {"new_priority": "policy"}).add(steps(".."))


def test_priority_written_between_two_batches_is_seen_by_the_second(make_replay, steps):
    replay = make_replay(sampler=PLAIN)
    replay.add(steps("...."))
    batches = replay.minibatches(2, 32)
    assert set(next(batches).observation[:, 0].tolist()) == {0, 1, 2, 3}
    set_priorities(replay, [0.0, 0.0, 1.0, 0.0])
    assert set(next(batches).observation[:, 0].tolist()) == {2}


def test_priority_of_an_overwritten_transition_does_not_reach_the_new_one(make_replay, steps):
    replay = make_replay(capacity=4, sampler=PLAIN)
    replay.add(steps("...."))
    (batch,) = replay.minibatches(1, 4)
    replay.add(steps(".....", start=4))
    replay.update_priorities(batch.replay_index, torch.full((4,), 1000.0))
    assert_drawn_in_proportion(draws(replay, 400, 64)[5:], np.ones(4))


def test_rows_that_cannot_be_drawn_have_no_priority(make_replay, steps):
    replay = make_replay(capacity=6, n_step=3, sampler=PLAIN)
    for start in range(0, 60, 4):
        replay.add(steps(".u..", start=start))
        drawn = draws(replay, 4, 64)
        assert np.flatnonzero(drawn).tolist() == list(range(max(start - 2, 0), start + 2))


def test_priority_that_is_not_finite_is_a_divergence(make_replay, steps):
    replay = make_replay(sampler=PLAIN)
    replay.add(steps("..."))
    with pytest.raises(DivergedError, match="not finite"):
        set_priorities(replay, [1.0, float("nan"), 1.0])


def test_uniform_replay_ignores_priorities(make_replay, steps):
    replay = make_replay()
    replay.add(steps("..."))
    set_priorities(replay, [0.0, float("nan"), 0.0])
    assert set(draws(replay, 1, 64).nonzero()[0]) == {0, 1, 2}
