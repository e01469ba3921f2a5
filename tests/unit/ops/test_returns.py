"""Returns worked out by hand, and the arguments they refuse."""

from __future__ import annotations

import pytest
import torch

from rlplug.errors import ShapeError
from rlplug.ops.returns import (
    discounted_returns,
    gae,
    lambda_returns,
    next_values,
    retrace,
    vtrace,
)


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64).unsqueeze(1)


def flags(*ones: int) -> torch.Tensor:
    return torch.tensor(ones, dtype=torch.bool).unsqueeze(1)


def test_gae_of_two_steps_by_hand():
    advantage = gae(
        column(1, 2), column(0.5, 0.5), column(3, 4), column(4, 6), flags(0, 0), lambda_=0.5
    )
    # δ = 1 + 2 − 3 = 0 and 2 + 3 − 4 = 1; A₀ = 0 + ½ · ½ · 1
    assert advantage.flatten().tolist() == [0.25, 1.0]


def test_a_terminated_episode_takes_no_value_and_a_truncated_one_takes_the_final_observations():
    next_value = column(100, 10, 20)
    over = flags(1, 1, 0)
    returns = discounted_returns(column(1, 2, 3), column(0, 0.9, 0.9), next_value, over)
    assert returns.flatten().tolist() == pytest.approx([1, 2 + 9, 3 + 18])


def test_a_reset_row_before_the_next_episode_is_no_part_of_it():
    nan = float("nan")
    valid = flags(1, 1, 0, 1, 1)
    over = flags(0, 1, 0, 0, 0)
    reward, next_value = column(1, 2, nan, 4, 8), column(0, 10, nan, 0, 100)
    returns = discounted_returns(reward, column(*[0.5] * 5), next_value, over, valid)
    # 2 + ½·10 = 7, 1 + ½·7 = 4.5;  8 + ½·100 = 58, 4 + ½·58 = 33
    assert returns.flatten().tolist() == [4.5, 7.0, 0.0, 33.0, 58.0]


def test_a_rollout_that_ends_in_a_reset_row_bootstraps_from_its_last_transition():
    valid, over = flags(1, 0), flags(0, 0)
    reward, discount = column(1, 50), column(0.5, 0.5)
    returns = lambda_returns(reward, discount, column(4, 99), over, valid, lambda_=0.9)
    assert returns.flatten().tolist() == [3.0, 0.0]


def constant_reward_value(*, terminates: bool, period: int = 5, gamma: float = 0.9) -> float:
    """Iterates v ← mean target under reward 1 and an end every `period` steps."""
    value = torch.zeros(period)  # by position in the episode
    over = torch.zeros(period, 1, dtype=torch.bool)
    over[-1] = True
    discount = torch.full((period, 1), gamma)
    if terminates:
        discount[-1] = 0.0
    for _ in range(60):
        final = value.mean()  # of what follows a truncation: anywhere, for all look alike
        following = torch.cat((value[1:], final.reshape(1))).unsqueeze(1)
        target = discounted_returns(torch.ones(period, 1), discount, following, over)
        value = target.flatten() if terminates else target.mean().expand(period)
    return float(value[0])


def test_constant_reward_is_worth_the_endless_sum_when_truncated():
    assert constant_reward_value(terminates=False) == pytest.approx(10.0, rel=1e-4)


def test_constant_reward_is_worth_the_finite_sum_when_terminated():
    assert constant_reward_value(terminates=True) == pytest.approx((1 - 0.9**5) / 0.1)


def test_vtrace_clips_the_ratio_of_the_error_and_of_the_trace_apart():
    log_ratio = column(3.0, 0.5).log()
    target, advantage, rho = vtrace(
        column(1, 2),
        column(0.5, 0.5),
        column(0, 0),
        column(0, 8),
        flags(0, 0),
        log_ratio,
        rho_clip=2.0,
        trace_clip=1.0,
    )
    # v₁ = ½ (2 + 4) = 3;  v₀ = 2·1 + ½·1·3;  advantages r + γ v' − v
    assert target.flatten().tolist() == pytest.approx([3.5, 3.0])
    assert advantage.flatten().tolist() == pytest.approx([1 + 1.5, 2 + 4])
    assert rho.flatten().tolist() == pytest.approx([2.0, 0.5])


def test_retrace_is_cut_where_the_target_policy_would_not_have_acted_so():
    never = column(0.0, -float("inf"))
    target = retrace(column(1, 2), column(0.5, 0.5), column(7, 9), column(4, 6), flags(0, 0), never)
    # the first step uses E_π Q alone; the ratio of a row never scales its own error
    assert target.flatten().tolist() == [3.0, 5.0]


def test_next_values_puts_final_observations_at_the_ends():
    followed = next_values(
        torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        torch.tensor([5.0, 6.0]),
        torch.tensor([[0, 1]]),
        torch.tensor([9.0]),
    )
    assert followed.tolist() == [[3.0, 9.0], [5.0, 6.0]]


def test_next_values_without_an_end_is_the_shifted_value():
    none = torch.empty(0, 2, dtype=torch.int64)
    followed = next_values(torch.ones(1, 2), torch.tensor([5.0, 6.0]), none, torch.empty(0))
    assert followed.tolist() == [[5.0, 6.0]]


def test_float32_stays_accurate_over_a_long_rollout():
    steps = 2048
    ones = torch.ones(steps, 1)
    over = torch.zeros(steps, 1, dtype=torch.bool)
    returns = discounted_returns(ones, 0.99 * ones, 100 * ones, over)
    assert returns.dtype == torch.float32
    assert torch.allclose(returns, 100 * ones, rtol=1e-5)


def test_returns_carry_gradients():
    reward = torch.ones(3, 1, requires_grad=True)
    over = flags(0, 0, 0)
    half = torch.full((3, 1), 0.5)
    discounted_returns(reward, half, torch.zeros(3, 1), over)[0].sum().backward()
    assert reward.grad is not None
    assert reward.grad.flatten().tolist() == [1.0, 0.5, 0.25]


def test_a_tensor_of_another_shape_is_named():
    ones, over = torch.ones(3, 2), torch.zeros(3, 2, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"gae: next_value has shape \[3\]"):
        gae(ones, ones, ones, torch.ones(3), over, lambda_=0.9)
    with pytest.raises(ShapeError, match="valid"):
        gae(ones, ones, ones, ones, over, torch.ones(2, 3, dtype=torch.bool), lambda_=0.9)


def test_flags_that_are_numbers_are_refused():
    ones = torch.ones(3, 2)
    with pytest.raises(TypeError, match=r"episode_over is torch.uint8, expected torch.bool"):
        gae(ones, ones, ones, ones, torch.zeros(3, 2, dtype=torch.uint8), lambda_=0.9)
