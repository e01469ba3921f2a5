"""Distributions against torch.distributions, on any parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import distributions as reference

from rlplug.nn.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)

SEEDS = st.integers(0, 2**31 - 1)
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


def numbers(*shape: int, low: float = -8.0, high: float = 8.0) -> st.SearchStrategy[torch.Tensor]:
    elements = st.floats(low, high, width=32)
    return npst.arrays(np.float64, shape, elements=elements).map(torch.from_numpy)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(numbers(4, 5), numbers(4, 5), SEEDS)
def test_categorical_is_torchs(logits, others, seed):
    ours, theirs = Categorical(logits), reference.Categorical(logits=logits)
    action, log_prob = ours.sample_with_log_prob(generator(seed))
    torch.testing.assert_close(log_prob, theirs.log_prob(action), **CLOSE)
    torch.testing.assert_close(ours.probs, theirs.probs, **CLOSE)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), **CLOSE)
    torch.testing.assert_close(
        ours.kl(Categorical(others)),
        reference.kl_divergence(theirs, reference.Categorical(logits=others)),
        **CLOSE,
    )
    chosen = logits.gather(-1, ours.mode().unsqueeze(-1))
    assert (logits <= chosen + 1e-12).all()


@given(numbers(3, 4), npst.arrays(bool, (3, 4)), SEEDS)
def test_masked_categorical_is_the_categorical_of_what_is_allowed(logits, mask, seed):
    masked = Categorical(logits, torch.from_numpy(mask))
    drawn, mode, entropy = masked.sample(generator(seed)), masked.mode(), masked.entropy()
    for row, allowed in enumerate(mask):
        if not allowed.any():
            assert torch.allclose(masked.probs[row], torch.tensor(0.25, dtype=torch.float64))
            continue
        left = reference.Categorical(logits=logits[row, allowed])
        assert allowed[drawn[row]]
        assert allowed[mode[row]]
        assert masked.probs[row, ~allowed].eq(0).all()
        torch.testing.assert_close(masked.probs[row, allowed], left.probs, **CLOSE)
        torch.testing.assert_close(entropy[row], left.entropy(), **CLOSE)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data(), SEEDS)
def test_multi_categorical_is_the_product_of_its_choices(sizes, data, seed):
    logits, others = data.draw(numbers(2, sum(sizes))), data.draw(numbers(2, sum(sizes)))
    mask = torch.from_numpy(data.draw(npst.arrays(bool, (2, sum(sizes)))))
    ours = MultiCategorical(logits, sizes, mask)
    pairs = zip(logits.split(sizes, -1), mask.split(sizes, -1), strict=True)
    parts = [Categorical(*pair) for pair in pairs]
    action, log_prob = ours.sample_with_log_prob(generator(seed))
    assert action.shape == (2, len(sizes))
    assert (action < torch.tensor(sizes)).all()
    by_part = [part.log_prob(action[:, k]) for k, part in enumerate(parts)]
    torch.testing.assert_close(log_prob, torch.stack(by_part).sum(0), **CLOSE)
    total = torch.stack([part.entropy() for part in parts]).sum(0)
    torch.testing.assert_close(ours.entropy(), total, **CLOSE)
    assert torch.equal(ours.mode(), torch.stack([part.mode() for part in parts], dim=-1))
    free = [Categorical(x) for x in logits.split(sizes, -1)]
    pairs = zip(free, others.split(sizes, -1), strict=True)
    divergences = [p.kl(Categorical(q)) for p, q in pairs]
    torch.testing.assert_close(
        MultiCategorical(logits, sizes).kl(MultiCategorical(others, sizes)),
        torch.stack(divergences).sum(0),
        **CLOSE,
    )


@given(numbers(4, 3), numbers(4, 3), SEEDS)
def test_bernoulli_is_torchs(logits, others, seed):
    ours = Bernoulli(logits)
    theirs = reference.Independent(reference.Bernoulli(logits=logits), 1)
    other = reference.Independent(reference.Bernoulli(logits=others), 1)
    action, log_prob = ours.sample_with_log_prob(generator(seed))
    torch.testing.assert_close(log_prob, theirs.log_prob(action.double()), **CLOSE)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), **CLOSE)
    torch.testing.assert_close(
        ours.kl(Bernoulli(others)), reference.kl_divergence(theirs, other), **CLOSE
    )


@given(
    numbers(4, 3),
    numbers(4, 3, low=-3, high=2),
    numbers(4, 3),
    numbers(3, low=-3, high=2),
    SEEDS,
)
def test_gaussian_is_torchs(mean, log_std, other_mean, free_log_std, seed):
    ours = DiagonalGaussian(mean, log_std)
    theirs = reference.Independent(reference.Normal(mean, log_std.exp()), 1)
    other = reference.Independent(reference.Normal(other_mean, free_log_std.exp()), 1)
    action, log_prob = ours.sample_with_log_prob(generator(seed))
    torch.testing.assert_close(log_prob, theirs.log_prob(action), **CLOSE)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action), **CLOSE)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), **CLOSE)
    free = DiagonalGaussian(other_mean, free_log_std)
    torch.testing.assert_close(free.entropy(), other.entropy(), **CLOSE)
    torch.testing.assert_close(ours.kl(free), reference.kl_divergence(theirs, other), **CLOSE)


@given(numbers(4, 3, low=-2, high=2), numbers(4, 3, low=-3, high=1), SEEDS)
def test_squashed_gaussian_is_torchs_transformed_normal(mean, log_std, seed):
    ours = SquashedGaussian(mean, log_std)
    theirs = reference.TransformedDistribution(
        reference.Independent(reference.Normal(mean, log_std.exp()), 1),
        [reference.TanhTransform(cache_size=1)],
    )
    action, log_prob = ours.sample_with_log_prob(generator(seed))
    inside = (action.abs() < 1 - 1e-6).all(dim=-1)
    expected = theirs.log_prob(action)[inside]
    torch.testing.assert_close(log_prob[inside], expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(ours.log_prob(action)[inside], expected, rtol=1e-6, atol=1e-5)


@given(numbers(2, 3), numbers(2, 2), numbers(2, low=-3, high=1), SEEDS)
def test_a_product_sums_over_its_parts(logits, mean, log_std, seed):
    parts = {"b": Categorical(logits), "a": (DiagonalGaussian(mean, log_std), Bernoulli(mean))}
    product = Product(parts)
    action, log_prob = product.sample_with_log_prob(generator(seed))
    leaves = [(parts["a"][0], action["a"][0]), (parts["a"][1], action["a"][1])]
    leaves.append((parts["b"], action["b"]))
    total = sum(part.log_prob(chosen) for part, chosen in leaves)
    torch.testing.assert_close(log_prob, total, **CLOSE)
    torch.testing.assert_close(product.log_prob(action), total, **CLOSE)
    entropy = sum(part.entropy() for part, _ in leaves)
    torch.testing.assert_close(product.entropy(), entropy, **CLOSE)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_any_leading_axes_are_a_batch(leading):
    drawn = generator(0)
    x = torch.randn(*leading, 4, generator=drawn)
    each = [
        Categorical(x),
        MultiCategorical(x, [1, 3]),
        MultiCategorical(x, [2, 2]),
        Bernoulli(x),
        DiagonalGaussian(x, torch.zeros(4)),
        SquashedGaussian(x, torch.zeros(4)),
    ]
    for distribution in (*each, Product(tuple(each))):
        action, log_prob = distribution.sample_with_log_prob(drawn)
        for answer in (
            log_prob,
            distribution.log_prob(action),
            distribution.entropy(),
            distribution.kl(distribution),
        ):
            assert answer.shape == leading
        assert distribution.kl(distribution).abs().max() < 1e-6
