"""Facts about losses and targets that hold for any input."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rlplug.algorithms.dqn.bootstrap import greedy_policy, munchausen_policy, munchausen_reward
from rlplug.ops.value_losses import project_categorical, quantile_huber_loss

in_any_time = settings(deadline=None)  # the first call of a process loads half of torch
returns = st.floats(-50, 50, width=32)
positive = st.floats(0.015625, 1, width=32)


@st.composite
def distributions(draw, elements=returns):
    """Probabilities and their returns [B, K], and an equally spaced support [K]."""
    rows, atoms = draw(st.integers(1, 4)), draw(st.integers(2, 30))
    probs = draw(hnp.arrays(np.float64, (rows, atoms), elements=positive))
    places = draw(hnp.arrays(np.float64, (rows, atoms), elements=elements))
    support = np.linspace(-10, 10, atoms)
    probs = probs / probs.sum(1, keepdims=True)
    return torch.from_numpy(probs), torch.from_numpy(places), torch.from_numpy(support)


@in_any_time
@given(distributions())
def test_projection_conserves_mass(case):
    projected = project_categorical(*case)
    assert (projected >= 0).all()
    torch.testing.assert_close(projected.sum(1), case[0].sum(1))


@in_any_time
@given(distributions(st.floats(-10, 10, width=32)))
def test_projection_inside_the_support_preserves_the_mean(case):
    probs, places, support = case
    projected = project_categorical(probs, places, support)
    torch.testing.assert_close(projected @ support, (probs * places).sum(1), atol=1e-9, rtol=1e-9)


@in_any_time
@given(distributions(), st.integers(0, 29))
def test_projection_keeps_all_mass_that_lands_on_an_atom(case, atom):
    probs, places, support = case
    atom %= len(support)
    projected = project_categorical(probs, torch.full_like(places, support[atom]), support)
    torch.testing.assert_close(projected[:, atom], torch.ones(len(probs), dtype=probs.dtype))


@in_any_time
@given(
    hnp.arrays(np.float64, (3, 4), elements=returns),
    hnp.arrays(np.float64, (3, 5), elements=returns),
    hnp.arrays(np.float64, (4,), elements=st.floats(0, 1)),
    st.sampled_from([0.0, 0.5, 1.0, 10.0]),
)
def test_quantile_loss_is_never_negative(quantiles, targets, fractions, kappa):
    loss = quantile_huber_loss(*map(torch.from_numpy, (quantiles, fractions, targets)), kappa)
    assert loss.shape == (3,)
    assert (loss >= 0).all()


@in_any_time
@given(
    hnp.arrays(np.float64, (3, 4), elements=returns),
    hnp.arrays(np.float64, (3, 5), elements=returns),
    st.permutations(range(5)),
)
def test_quantile_loss_ignores_the_order_of_targets(quantiles, targets, order):
    fractions = torch.tensor([0.2, 0.4, 0.6, 0.8])
    loss = quantile_huber_loss(torch.from_numpy(quantiles), fractions, torch.from_numpy(targets), 1)
    shuffled = torch.from_numpy(targets[:, order])
    again = quantile_huber_loss(torch.from_numpy(quantiles), fractions, shuffled, 1)
    torch.testing.assert_close(loss, again)


@in_any_time
@given(
    hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from([0.001, 0.03, 1.0]),
)
def test_next_policies_are_finite_and_sum_to_one(q_values, temperature):
    q_values = torch.from_numpy(q_values)
    for policy in (greedy_policy(q_values), munchausen_policy(q_values, temperature)):
        torch.testing.assert_close(policy.probs.sum(1), torch.ones(3))
        assert policy.entropy_bonus.isfinite().all()
        assert (policy.entropy_bonus >= 0).all()


@in_any_time
@given(
    hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(-5, 0),
    st.floats(0, 2),
)
def test_munchausen_reward_is_never_positive_nor_below_the_scaled_floor(q_values, floor, scale):
    reward = munchausen_reward(
        torch.from_numpy(q_values),
        torch.tensor([0, 1, 3]),
        scale=scale,
        temperature=0.03,
        floor=floor,
    )
    assert (reward <= 0).all()
    assert (reward >= scale * floor - 1e-6).all()
