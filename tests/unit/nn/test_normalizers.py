"""Normalisers: the same moments however the data was cut, and statistics that only update moves."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rlplug.errors import ShapeError
from rlplug.nn.normalizers import ObservationNormalizer, RewardScaler, RunningMeanVariance

GAMMA = 0.9


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_moments_do_not_depend_on_how_the_rows_were_cut(sizes, shift):
    rows = 3 * draws(sum(sizes), 2) + shift
    statistics = RunningMeanVariance((2,))
    for part in rows.split(sizes):
        statistics.update(part)
    assert statistics.count.item() == len(rows)
    if len(rows):
        np.testing.assert_allclose(statistics.mean, rows.double().numpy().mean(0), rtol=1e-9)
        variance = rows.double().numpy().var(0)
        np.testing.assert_allclose(statistics.variance, variance, rtol=1e-6, atol=1e-9)


def test_before_any_data_nothing_is_shifted_or_scaled():
    normalizer = ObservationNormalizer(spaces.Box(-5, 5, (3,)))
    observation = draws(4, 3)
    torch.testing.assert_close(normalizer(observation), observation)


def test_normalised_data_has_mean_0_and_deviation_1():
    observation = 7 * draws(20, 8, 3) - 100
    normalizer = ObservationNormalizer(spaces.Box(-500, 500, (3,)))
    normalizer.update(observation)
    result = normalizer(observation).reshape(-1, 3)
    torch.testing.assert_close(result.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(result.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_rows_that_are_no_transition_are_left_out():
    observation = draws(4, 2, 3)
    valid = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    normalizer = ObservationNormalizer(spaces.Box(-5, 5, (3,)))
    normalizer.update(torch.where(valid.unsqueeze(-1), observation, torch.nan), valid)
    (statistics,) = normalizer.statistics
    torch.testing.assert_close(statistics.mean, observation[valid].double().mean(0))


def test_a_constant_stays_finite_and_a_surprise_is_clipped():
    normalizer = ObservationNormalizer(spaces.Box(-5, 5, (1,)), clip=10.0)
    normalizer.update(torch.full((100, 1), 3.0))
    assert normalizer(torch.tensor([[3.0], [4.0], [2.0]])).flatten().tolist() == [0.0, 10.0, -10.0]


def test_each_float_of_a_tree_has_its_own_statistics_and_the_rest_passes():
    space = spaces.Dict(
        {
            "image": spaces.Box(0, 255, (2, 2, 1), np.uint8),
            "body": spaces.Tuple((spaces.Box(-1, 1, (2,)), spaces.Discrete(3))),
            "angle": spaces.Box(-1, 1, (), np.float64),
        }
    )
    normalizer = ObservationNormalizer(space)
    observation = OrderedDict(
        image=torch.randint(0, 255, (9, 2, 2, 1), dtype=torch.uint8),
        body=(5 * draws(9, 2), torch.arange(9) % 3),
        angle=draws(9).double() + 4,
    )
    normalizer.update(observation)
    result = normalizer(observation)
    assert result["image"] is observation["image"]
    assert result["body"][1] is observation["body"][1]
    assert result["body"][0].std(0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-4)
    assert result["angle"].dtype == torch.float32
    assert result["angle"].mean().item() == pytest.approx(0, abs=1e-5)


def test_acting_never_moves_the_statistics():
    normalizer = ObservationNormalizer(spaces.Box(-5, 5, (3,)))
    normalizer.update(draws(10, 3))
    before = {name: tensor.clone() for name, tensor in normalizer.state_dict().items()}
    normalizer.train()
    normalizer(1000 * draws(10, 3))
    after = normalizer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_statistics_are_weights_that_a_worker_loads():
    space = spaces.Box(-5, 5, (3,))
    learner, worker = ObservationNormalizer(space), ObservationNormalizer(space)
    learner.update(3 * draws(10, 3) + 1)
    worker.load_state_dict(learner.state_dict())
    observation = draws(4, 3)
    assert torch.equal(learner(observation), worker(observation))
    assert not list(learner.parameters())


def brute_returns(reward, over, valid, carried) -> list[float]:
    """Discounted sums so far of one stream, in the order of its valid rows."""
    sums = []
    for r, is_over, is_valid in zip(reward, over, valid, strict=True):
        if is_valid:
            carried = GAMMA * carried + r
            sums.append(carried)
            carried = 0.0 if is_over else carried
    return sums


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_reward_deviation_is_that_of_the_discounted_sums_of_each_stream(seed, cut):
    rng = np.random.default_rng(seed)
    reward = rng.normal(size=(20, 3)).astype(np.float32)
    over, valid = rng.random((20, 3)) < 0.2, rng.random((20, 3)) < 0.9
    scaler = RewardScaler(GAMMA)
    streams = torch.tensor([4, 0, 2])
    tensors = [torch.from_numpy(x) for x in (reward, over, valid)]
    for part in zip(*(x.split(cut) for x in tensors), strict=True):
        scaler.update(part[0], part[1], streams, part[2])
    sums = [brute_returns(reward[:, n], over[:, n], valid[:, n], 0.0) for n in range(3)]
    expected = np.sqrt(np.var(np.concatenate(sums)) + 1e-8)
    assert float(scaler.statistics.deviation()) == pytest.approx(expected, rel=1e-5)


def test_rewards_are_divided_clipped_and_keep_their_sign():
    scaler = RewardScaler(0.0, clip=2.0)
    over = torch.zeros(4, 1, dtype=torch.bool)
    scaler.update(torch.tensor([[1.0], [5.0], [1.0], [5.0]]), over, torch.tensor([0]))
    scaled = scaler(torch.tensor([1.0, 2.0, -3.0, 100.0]))
    assert scaled.tolist() == pytest.approx([0.5, 1.0, -1.5, 2.0])


def test_scaling_moves_nothing_and_starts_at_one():
    scaler = RewardScaler(GAMMA)
    assert scaler(torch.tensor([3.0])).tolist() == [3.0]
    assert scaler.statistics.count.item() == 0


def test_a_resumed_scaler_continues_its_streams():
    reward, over = draws(10, 2), torch.zeros(10, 2, dtype=torch.bool)
    first, second = torch.tensor([0, 1]), torch.tensor([1, 5])
    whole, resumed = RewardScaler(GAMMA), RewardScaler(GAMMA)
    whole.update(reward, over, first)
    resumed.load_state_dict(whole.state_dict())
    for scaler in (whole, resumed):
        scaler.update(reward, over, second)
    assert torch.equal(whole.statistics.variance, resumed.statistics.variance)
    assert torch.equal(whole.state_dict()["carried"], resumed.state_dict()["carried"])


def test_rewards_of_another_shape_are_refused():
    over = torch.zeros(10, 2, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"RewardScaler.update: streams has shape \[3\]"):
        RewardScaler(GAMMA).update(draws(10, 2), over, torch.arange(3))


def test_a_restarted_stream_begins_its_return_anew() -> None:
    """γ = 0.5, rewards of 8: the returns are 8 and then 12, or 8 again after a restart."""
    means = []
    for restarts in (False, True):
        scaler = RewardScaler(0.5)
        one = torch.full((1, 1), 8.0), torch.zeros(1, 1, dtype=torch.bool), torch.tensor([3])
        scaler.update(*one)
        if restarts:
            scaler.restart(torch.tensor([3, 5]))
        scaler.update(*one)
        means.append(float(scaler.statistics.mean))
    assert means == pytest.approx([10.0, 8.0])
