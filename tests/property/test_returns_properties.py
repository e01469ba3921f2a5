"""Returns against plain loops over each environment's episodes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rlplug.ops.returns import (
    discounted_returns,
    gae,
    lambda_returns,
    linear_recurrence,
    next_values,
    retrace,
    vtrace,
)

GAMMA = 0.9
NUMBERS = st.floats(-5, 5, width=32)
UNIT = st.floats(0, 1)


class Case(NamedTuple):
    reward: np.ndarray
    discount: np.ndarray
    value: np.ndarray
    next_value: np.ndarray
    episode_over: np.ndarray
    valid: np.ndarray
    log_ratio: np.ndarray

    def tensors(self, *names: str) -> list[torch.Tensor]:
        return [torch.from_numpy(getattr(self, name)) for name in names]

    def column(self, n: int) -> Case:
        """The valid rows of one environment."""
        return Case(*(x[self.valid[:, n], n] for x in self))


FACTS = ("reward", "discount", "value", "next_value", "episode_over")
WITHOUT_VALUE = ("reward", "discount", "next_value", "episode_over")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rewards, ends and gaps anywhere; the values agree inside episodes, as a network's do."""
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 3)))
    flags = npst.arrays(bool, shape)
    numbers = npst.arrays(np.float64, shape, elements=NUMBERS)
    terminated = draw(flags)
    case = Case(
        reward=draw(numbers),
        discount=GAMMA * ~terminated,
        value=draw(numbers),
        next_value=draw(numbers),
        episode_over=terminated | draw(flags),
        valid=draw(flags) | draw(flags),
        log_ratio=draw(npst.arrays(np.float64, shape, elements=st.floats(-2, 2, width=32))),
    )
    for n in range(shape[1]):
        rows = np.flatnonzero(case.valid[:, n])
        for t, following in pairwise(rows):
            if not case.episode_over[t, n]:
                case.next_value[t, n] = case.value[following, n]
    for x in (case.reward, case.value, case.next_value, case.log_ratio):
        x[~case.valid] = np.nan  # what no transition was made of must not be seen
    return case


def expected(case: Case, one_column) -> np.ndarray:
    """`one_column` on the valid rows of each environment, zeros elsewhere."""
    result = np.zeros_like(case.discount)
    for n in range(result.shape[1]):
        result[case.valid[:, n], n] = one_column(case.column(n))
    return result


def rows_ahead(case: Case, t: int) -> range:
    """Rows from t to the end of its episode or of the data."""
    end = t
    while end < len(case.reward) - 1 and not case.episode_over[end]:
        end += 1
    return range(t, end + 1)


def td_errors(case: Case) -> np.ndarray:
    return case.reward + case.discount * case.next_value - case.value


def brute_gae(case: Case, lambda_: float) -> list[float]:
    errors = td_errors(case)
    return [
        sum((GAMMA * lambda_) ** (k - t) * errors[k] for k in rows_ahead(case, t))
        for t in range(len(errors))
    ]


def brute_n_step(case: Case, t: int, n: int) -> float:
    """At most n rewards, then the value of what follows; fewer where the episode is over."""
    rows = rows_ahead(case, t)[:n]
    rewards = sum(GAMMA ** (k - t) * case.reward[k] for k in rows)
    return rewards + GAMMA ** (len(rows) - 1) * case.discount[rows[-1]] * case.next_value[rows[-1]]


def brute_lambda_return(case: Case, lambda_: float) -> list[float]:
    """(1 − λ) Σ λⁿ⁻¹ Gⁿ + λᴴ⁻¹ Gᴴ, the weighted mean of n-step returns (Sutton & Barto, 12.3)."""
    results = []
    for t in range(len(case.reward)):
        horizon = len(rows_ahead(case, t))
        mixture = sum(
            (1 - lambda_) * lambda_ ** (n - 1) * brute_n_step(case, t, n) for n in range(1, horizon)
        )
        results.append(mixture + lambda_ ** (horizon - 1) * brute_n_step(case, t, horizon))
    return results


def brute_vtrace(case: Case, lambda_: float, rho_clip: float, trace_clip: float):
    ratio = np.exp(case.log_ratio)
    rho = np.minimum(rho_clip, ratio)
    trace = lambda_ * np.minimum(trace_clip, ratio)
    errors = rho * td_errors(case)
    target = np.array(
        [
            case.value[s]
            + sum(GAMMA ** (t - s) * np.prod(trace[s:t]) * errors[t] for t in rows_ahead(case, s))
            for s in range(len(rho))
        ]
    )
    advantage = np.zeros_like(target)
    for s in range(len(rho)):
        following = case.next_value[s]
        if len(rows_ahead(case, s)) > 1:
            following += lambda_ * (target[s + 1] - case.value[s + 1])
        advantage[s] = case.reward[s] + case.discount[s] * following - case.value[s]
    return target, advantage, rho


def brute_retrace(case: Case, lambda_: float) -> list[float]:
    trace = lambda_ * np.minimum(1, np.exp(case.log_ratio))
    errors = td_errors(case)
    return [
        case.value[t]
        + sum(
            GAMMA ** (s - t) * np.prod(trace[t + 1 : s + 1]) * errors[s]
            for s in rows_ahead(case, t)
        )
        for t in range(len(errors))
    ]


@given(cases(), UNIT)
def test_gae_is_the_discounted_sum_of_td_errors_to_the_end_of_the_episode(case, lambda_):
    actual = gae(*case.tensors(*FACTS, "valid"), lambda_=lambda_)
    np.testing.assert_allclose(actual, expected(case, lambda c: brute_gae(c, lambda_)), atol=1e-9)


@given(cases())
def test_gae_of_lambda_0_is_the_td_error(case):
    actual = gae(*case.tensors(*FACTS, "valid"), lambda_=0.0)
    np.testing.assert_allclose(actual, expected(case, td_errors), atol=1e-9)


@given(cases())
def test_gae_of_lambda_1_is_the_return_minus_the_value(case):
    advantage = gae(*case.tensors(*FACTS, "valid"), lambda_=1.0)
    returns = discounted_returns(*case.tensors(*WITHOUT_VALUE, "valid")).numpy()
    np.testing.assert_allclose(
        advantage, np.where(case.valid, returns - case.value, 0.0), atol=1e-9
    )


@given(cases(), UNIT)
def test_lambda_returns_mix_n_step_returns(case, lambda_):
    actual = lambda_returns(*case.tensors(*WITHOUT_VALUE, "valid"), lambda_=lambda_)
    brute = expected(case, lambda c: brute_lambda_return(c, lambda_))
    np.testing.assert_allclose(actual, brute, atol=1e-9)


@given(cases(), UNIT)
def test_lambda_returns_are_gae_plus_the_value(case, lambda_):
    returns = lambda_returns(*case.tensors(*WITHOUT_VALUE, "valid"), lambda_=lambda_)
    advantage = gae(*case.tensors(*FACTS, "valid"), lambda_=lambda_).numpy()
    summed = np.where(case.valid, advantage + case.value, 0.0)
    np.testing.assert_allclose(returns, summed, atol=1e-9)


@given(cases(), UNIT, st.floats(0.1, 3), st.floats(0.1, 3))
def test_vtrace_is_its_equation(case, lambda_, rho_clip, trace_clip):
    actual = vtrace(
        *case.tensors(*FACTS, "log_ratio", "valid"),
        lambda_=lambda_,
        rho_clip=rho_clip,
        trace_clip=trace_clip,
    )
    for index in (0, 1, 2):
        brute = expected(case, lambda c, i=index: brute_vtrace(c, lambda_, rho_clip, trace_clip)[i])
        np.testing.assert_allclose(actual[index], brute, atol=1e-9)


@given(cases())
def test_vtrace_on_policy_is_the_n_step_return(case):
    on_policy = case._replace(log_ratio=np.zeros_like(case.reward))
    target, advantage, _ = vtrace(*on_policy.tensors(*FACTS, "log_ratio", "valid"))
    returns = discounted_returns(*case.tensors(*WITHOUT_VALUE, "valid")).numpy()
    np.testing.assert_allclose(target, returns, atol=1e-9)
    np.testing.assert_allclose(
        advantage, np.where(case.valid, returns - case.value, 0.0), atol=1e-9
    )


@given(cases(), UNIT)
def test_vtrace_on_policy_is_gae_and_gae_plus_the_value(case, lambda_):
    on_policy = case._replace(log_ratio=np.zeros_like(case.reward))
    facts = on_policy.tensors(*FACTS, "log_ratio", "valid")
    target, advantage, rho = vtrace(*facts, lambda_=lambda_)
    expected_advantage = gae(*case.tensors(*FACTS, "valid"), lambda_=lambda_).numpy()
    np.testing.assert_allclose(advantage, expected_advantage, atol=1e-9)
    summed = np.where(case.valid, expected_advantage + case.value, 0.0)
    np.testing.assert_allclose(target, summed, atol=1e-9)
    np.testing.assert_array_equal(rho, case.valid)


@given(cases(), UNIT)
def test_retrace_is_its_equation(case, lambda_):
    actual = retrace(*case.tensors(*FACTS, "log_ratio", "valid"), lambda_=lambda_)
    brute = expected(case, lambda c: brute_retrace(c, lambda_))
    np.testing.assert_allclose(actual, brute, atol=1e-9)


@given(cases(), st.data())
def test_nothing_leaks_into_another_episode_or_environment(case, data):
    """Every estimator leaves alone what another episode's numbers changed."""
    rows, columns = case.reward.shape
    t = data.draw(st.integers(0, rows - 1))
    n = data.draw(st.integers(0, columns - 1))
    start = t
    while start > 0 and not (case.valid & case.episode_over)[start - 1, n]:
        start -= 1
    same_episode = np.zeros_like(case.valid)
    same_episode[start : t + 1, n] = True
    other = Case(*(x.copy() for x in case))
    for x in (other.reward, other.value, other.next_value, other.log_ratio):
        x[t, n] = 100.0

    def estimates(c: Case) -> list[torch.Tensor]:
        return [
            gae(*c.tensors(*FACTS, "valid"), lambda_=0.8),
            lambda_returns(*c.tensors(*WITHOUT_VALUE, "valid"), lambda_=0.8),
            *vtrace(*c.tensors(*FACTS, "log_ratio", "valid")),
            retrace(*c.tensors(*FACTS, "log_ratio", "valid")),
        ]

    for before, after in zip(estimates(case), estimates(other), strict=True):
        np.testing.assert_array_equal(before.numpy()[~same_episode], after.numpy()[~same_episode])


@given(cases())
def test_without_gaps_the_valid_flags_change_nothing(case):
    dense = Case(*(np.nan_to_num(x) if x.dtype != bool else x for x in case))
    everywhere = torch.ones_like(torch.from_numpy(dense.valid))
    facts = dense.tensors(*FACTS)
    assert torch.equal(gae(*facts, lambda_=0.7), gae(*facts, everywhere, lambda_=0.7))
    some = dense.tensors(*WITHOUT_VALUE)
    assert torch.equal(discounted_returns(*some), discounted_returns(*some, everywhere))


@given(st.integers(0, 40), st.integers(0, 2**31 - 1))
def test_the_recurrence_equals_its_loop(length, seed):
    rng = np.random.default_rng(seed)
    term, factor = rng.normal(size=(2, length, 2))
    following, brute = np.zeros(2), np.zeros_like(term)
    for t in reversed(range(length)):
        brute[t] = following = term[t] + factor[t] * following
    actual = linear_recurrence(torch.from_numpy(term), torch.from_numpy(factor))
    np.testing.assert_allclose(actual, brute, rtol=1e-9, atol=1e-9)


@given(cases())
def test_next_values_follow_each_row_and_are_final_at_the_ends(case):
    value = np.nan_to_num(case.value)
    rows, columns = value.shape
    last_value = np.arange(columns) + 100.0
    final_steps = np.argwhere(case.episode_over)
    final_value = np.arange(len(final_steps)) + 200.0
    actual = next_values(*map(torch.from_numpy, (value, last_value, final_steps, final_value)))
    finals = iter(final_value)
    for t in range(rows):
        for n in range(columns):
            if case.episode_over[t, n]:
                assert actual[t, n] == next(finals)
            else:
                assert actual[t, n] == (value[t + 1, n] if t + 1 < rows else last_value[n])
