from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rlplug.algorithms.dqn.bootstrap import NextPolicy, greedy_policy, munchausen_policy
from rlplug.algorithms.dqn.config import (
    CategoricalHead,
    ImplicitQuantileHead,
    NetworkConfig,
    QuantileHead,
    ScalarHead,
)
from rlplug.algorithms.dqn.heads import Estimate, build_head
from rlplug.errors import ShapeError
from rlplug.nn.config import NoisyConfig
from rlplug.nn.noisy import NoisyLinear, resample_noise

B, D, A = 6, 5, 3
SMALL = NetworkConfig(hidden_sizes=(7,))
HEADS = [
    ScalarHead(),
    CategoricalHead(num_atoms=11, min_return=-3, max_return=5),
    QuantileHead(num_quantiles=4),
    ImplicitQuantileHead(num_cosines=8, num_samples=4, num_target_samples=5, num_acting_samples=2),
]
by_kind = pytest.mark.parametrize("config", HEADS, ids=lambda config: config.kind)


def build(config, network=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_head(config, network, D, A).double()


def draw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_policy(seed=0):
    """A next-policy without structure, so that nothing can hide behind a one-hot."""
    rng = np.random.default_rng(seed)
    probs, bonus = rng.dirichlet(np.ones(A), size=B), rng.normal(size=(B, A))
    return NextPolicy(torch.from_numpy(probs), torch.from_numpy(bonus))


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def numpy_linear(layer, values):
    weight, bias = (parameter.detach().numpy() for parameter in (layer.weight, layer.bias))
    return values @ weight.T + bias


def numpy_stack(layers, values):
    """Linear layers with ReLU between, as arrays."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        values = np.maximum(numpy_linear(layer, values), 0)
    return numpy_linear(linear[-1], values)


def numpy_huber(error, threshold):
    size = np.abs(error)
    return np.where(size <= threshold, size**2 / 2, threshold * (size - threshold / 2))


# Every head alike


@by_kind
def test_estimate_has_one_entry_per_sample_and_action(config):
    head = build(config)
    estimate = head(draw(B, D), samples=head.num_samples, generator=generator())
    assert estimate.values.shape[:2] == (B, A)
    assert head.mean(estimate).shape == (B, A)


@by_kind
@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("noisy", [None, NoisyConfig(), NoisyConfig(kind="independent")])
def test_loss_and_target_fit_and_reach_every_weight(config, dueling, noisy):
    network = NetworkConfig(hidden_sizes=(7,), dueling=dueling, noisy=noisy)
    head = build(config, network).float()
    resample_noise(head, B, generator())
    features = draw(B, D).float()
    estimate = head(features, samples=head.num_samples, generator=generator())
    with torch.no_grad():
        following = head(features, samples=head.num_target_samples, generator=generator(1))
        policy = greedy_policy(head.mean(following))
        target = head.target(following, policy, torch.randn(B), torch.full((B,), 0.9))
    loss, priority = head.loss(estimate, torch.randint(0, A, (B,)), target)
    assert loss.shape == priority.shape == (B,)
    assert not priority.requires_grad
    assert (priority >= 0).all()
    loss.mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())


@by_kind
def test_loss_of_one_sample_ignores_the_others(config):
    head = build(config)
    values = draw(B, A, 11) if config.kind == "categorical" else draw(B, A, 4)
    values = draw(B, A) if config.kind == "scalar" else values
    estimate = Estimate(values, torch.rand(B, 4))
    action, moved = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0, 1, 2, 2, 1, 2])
    target = values[torch.arange(B), 0].softmax(-1)
    loss, other = (head.loss(estimate, which, target).loss for which in (action, moved))
    assert (loss != other).tolist() == [False, False, False, True, False, False]


@by_kind
def test_columns_that_would_broadcast_are_refused(config):
    # JORLDY multiplied [B, 1] importance weights into a [B] loss and got [B, B]
    head = build(config)
    estimate = head(draw(B, D), samples=5, generator=generator())
    policy, reward, discount = random_policy(), draw(B), torch.full((B,), 0.9)
    target = head.target(estimate, policy, reward, discount).detach()
    action = torch.zeros(B, dtype=torch.int64)
    with pytest.raises(ShapeError, match="reward"):
        head.target(estimate, policy, reward.unsqueeze(1), discount)
    with pytest.raises(ShapeError, match="discount"):
        head.target(estimate, policy, reward, discount.unsqueeze(1))
    with pytest.raises(ShapeError, match="action"):
        head.loss(estimate, action.unsqueeze(1), target)
    with pytest.raises(ShapeError, match="target"):
        head.loss(estimate, action, target.unsqueeze(1))


@by_kind
def test_target_of_a_terminated_transition_is_its_reward(config):
    head = build(config)
    estimate = head(draw(B, D), samples=3, generator=generator())
    reward = torch.linspace(-2.2, 4.2, B, dtype=torch.float64)
    policy = greedy_policy(head.mean(estimate))
    target = head.target(estimate, policy, reward, torch.zeros(B, dtype=torch.float64))
    mean = target @ head.atoms if config.kind == "categorical" else target.reshape(B, -1).mean(1)
    torch.testing.assert_close(mean, reward)


@by_kind
def test_mean_of_the_target_is_the_bellman_equation_of_the_means(config):
    # true of all four, as long as a categorical support is wide enough
    head = build(config)
    estimate = head(draw(B, D), samples=3, generator=generator())
    policy = random_policy()._replace(entropy_bonus=torch.zeros(B, A, dtype=torch.float64))
    reward, discount = draw(B, seed=1) / 4, torch.full((B,), 0.5, dtype=torch.float64)
    target = head.target(estimate, policy, reward, discount)
    mean = target @ head.atoms if config.kind == "categorical" else target.reshape(B, -1).mean(1)
    expected = reward + discount * (policy.probs * head.mean(estimate)).sum(1)
    torch.testing.assert_close(mean, expected)


# Scalar


def test_scalar_values_are_the_layers_outputs():
    head, features = build(ScalarHead()), draw(B, D)
    expected = numpy_stack(head.layers.advantage, features.numpy())
    np.testing.assert_allclose(head(features).values.detach(), expected, atol=1e-6)


@pytest.mark.parametrize("threshold", [None, 0.5, 1.0])
def test_scalar_loss_and_target_agree_with_numpy(threshold):
    head, policy = build(ScalarHead(huber_threshold=threshold)), random_policy()
    values, following, reward = draw(B, A, seed=1), draw(B, A, seed=2), draw(B, seed=3)
    discount, action = draw(B, seed=4), torch.tensor([0, 1, 2, 2, 1, 0])
    probs, bonus = policy.probs.numpy(), policy.entropy_bonus.numpy()
    expected = reward.numpy() + discount.numpy() * (probs * (following.numpy() + bonus)).sum(1)
    target = head.target(Estimate(following, None), policy, reward, discount)
    np.testing.assert_allclose(target, expected, rtol=1e-6)
    loss, priority = head.loss(Estimate(values, None), action, target)
    error = expected - values.numpy()[np.arange(B), action.numpy()]
    huber = error**2 / 2 if threshold is None else numpy_huber(error, threshold)
    np.testing.assert_allclose(loss, huber, rtol=1e-6)
    np.testing.assert_allclose(priority, np.abs(error), rtol=1e-6)


def test_scalar_target_by_hand():
    head = build(ScalarHead())
    following = Estimate(torch.tensor([[1.0, 4.0, 2.0], [0.0, -1.0, -2.0]]), None)
    policy = greedy_policy(following.values)
    target = head.target(following, policy, torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]))
    assert target.tolist() == [3.0, 1.0]
    loss, priority = head.loss(
        Estimate(torch.tensor([[0.0, 2.5, 0.0], [0.0, 0.0, 5.0]]), None),
        torch.tensor([1, 2]),
        target,
    )
    assert loss.tolist() == [0.125, 3.5]
    assert priority.tolist() == [0.5, 4.0]


# Categorical


def test_categorical_loss_and_target_agree_with_numpy():
    head, policy = build(HEADS[1]), random_policy()
    atoms = np.linspace(-3, 5, 11)
    logits, following = draw(B, A, 11, seed=1), draw(B, A, 11, seed=2)
    reward, discount = draw(B, seed=3), torch.full((B,), 0.9, dtype=torch.float64)
    action = torch.tensor([0, 1, 2, 2, 1, 0])
    expected = np.zeros((B, 11))
    mixture = (policy.probs.numpy()[:, :, None] * softmax(following.numpy())).sum(1)
    for row in range(B):
        for mass, atom in zip(mixture[row], atoms, strict=True):
            place = np.clip(reward[row].item() + 0.9 * atom, -3, 5)
            expected[row] += mass * np.clip(1 - np.abs(atoms - place) / 0.8, 0, 1)
    target = head.target(Estimate(following, None), policy, reward, discount)
    np.testing.assert_allclose(target, expected, atol=1e-6)
    loss, priority = head.loss(Estimate(logits, None), action, target)
    chosen = softmax(logits.numpy())[np.arange(B), action.numpy()]
    log_expected = np.log(np.where(expected > 0, expected, 1))
    divergence = (expected * (log_expected - np.log(chosen))).sum(1)
    np.testing.assert_allclose(loss, divergence, rtol=1e-6)
    np.testing.assert_allclose(priority, divergence, rtol=1e-6)


def test_categorical_mean_is_the_expected_atom():
    head, logits = build(HEADS[1]), draw(B, A, 11)
    expected = softmax(logits.numpy()) @ np.linspace(-3, 5, 11)
    np.testing.assert_allclose(head.mean(Estimate(logits, None)), expected, atol=1e-6)


def test_gradient_of_the_categorical_loss_is_the_cross_entropys():
    head, logits = build(HEADS[1]), draw(B, A, 11).requires_grad_()
    target = draw(B, 11, seed=1).softmax(1)
    head.loss(
        Estimate(logits, None), torch.zeros(B, dtype=torch.int64), target
    ).loss.sum().backward()
    expected = softmax(logits.detach().numpy()[:, 0]) - target.numpy()
    np.testing.assert_allclose(logits.grad[:, 0], expected, atol=1e-6)
    assert not logits.grad[:, 1:].any()


def test_categorical_loss_takes_targets_without_mass():
    head = build(HEADS[1])
    target = torch.zeros(B, 11, dtype=torch.float64)
    target[:, 3] = 1.0
    logits = draw(B, A, 11)
    loss = head.loss(Estimate(logits, None), torch.zeros(B, dtype=torch.int64), target).loss
    np.testing.assert_allclose(loss, -np.log(softmax(logits.numpy())[:, 0, 3]), rtol=1e-6)


def test_categorical_priority_of_a_perfect_estimate_is_zero_and_not_below():
    head = build(CategoricalHead()).float()
    logits = torch.randn(B, A, 51, generator=generator())
    target = logits[:, 0].softmax(1)
    priority = head.loss(Estimate(logits, None), torch.zeros(B, dtype=torch.int64), target).priority
    assert (priority >= 0).all()
    assert (priority < 1e-5).all()


def test_terminal_reward_of_zero_is_certain_in_the_default_support():
    head = build(CategoricalHead())
    following = Estimate(draw(B, A, 51), None)
    zeros = torch.zeros(B, dtype=torch.float64)
    target = head.target(following, random_policy(), zeros, zeros)
    np.testing.assert_allclose(target[:, 25], np.ones(B), atol=1e-6)


# Quantiles


@pytest.mark.parametrize("kappa", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["quantile", "implicit-quantile"])
def test_quantile_loss_and_target_agree_with_numpy(kind, kappa):
    number = 2 if kind == "quantile" else 3
    head, policy = (
        build(HEADS[number].model_copy(update={"huber_threshold": kappa})),
        random_policy(),
    )
    values, following = draw(B, A, 4, seed=1), draw(B, A, 5, seed=2)
    reward, discount = draw(B, seed=3), torch.full((B,), 0.9, dtype=torch.float64)
    fractions = np.random.default_rng(5).uniform(size=(B, 4))
    action = torch.tensor([0, 1, 2, 2, 1, 0])
    mixed = (policy.probs * policy.entropy_bonus).sum(1).numpy()[:, None]
    mixed = mixed + (policy.probs.numpy()[:, :, None] * following.numpy()).sum(1)
    expected = reward.numpy()[:, None] + 0.9 * mixed
    target = head.target(Estimate(following, None), policy, reward, discount)
    np.testing.assert_allclose(target, expected, rtol=1e-6)
    estimate = Estimate(values, torch.from_numpy(fractions))
    loss, priority = head.loss(estimate, action, target)
    losses = np.zeros(B)
    for row in range(B):
        for predicted, fraction in zip(
            values[row, action[row]].numpy(), fractions[row], strict=True
        ):
            for sample in expected[row]:
                error = sample - predicted
                distance = abs(error) if kappa == 0 else float(numpy_huber(error, kappa)) / kappa
                losses[row] += abs(fraction - float(error < 0)) * distance / 5
    np.testing.assert_allclose(loss, losses, rtol=1e-6)
    np.testing.assert_allclose(priority, losses, rtol=1e-6)


def test_fixed_fractions_are_the_midpoints():
    head = build(QuantileHead(num_quantiles=4))
    torch.testing.assert_close(
        head(draw(B, D)).fractions, torch.tensor([0.125, 0.375, 0.625, 0.875]).double()
    )


@pytest.mark.parametrize("number", [2, 3])
def test_mean_of_quantiles_is_their_average(number):
    values = draw(B, A, 4)
    mean = build(HEADS[number]).mean(Estimate(values, None))
    np.testing.assert_allclose(mean, values.numpy().mean(2), atol=1e-6)


def test_munchausen_target_keeps_the_spread_of_the_quantiles():
    head = build(HEADS[2])
    following = Estimate(draw(B, A, 4), None)
    policy = munchausen_policy(head.mean(following), 0.3)
    target = head.target(following, policy, draw(B), torch.ones(B, dtype=torch.float64))
    expected = (policy.probs.unsqueeze(2) * following.values).sum(1)
    torch.testing.assert_close(target - target[:, :1], expected - expected[:, :1])


# Implicit quantiles


def test_cosine_embedding_agrees_with_numpy():
    head, fractions = build(HEADS[3]), np.random.default_rng(0).uniform(size=(B, 4))
    cosines = np.cos(np.pi * np.arange(8) * fractions[:, :, None])
    expected = np.maximum(numpy_linear(head.embedding, cosines), 0)
    embedded = head.embed(torch.from_numpy(fractions)).detach()
    np.testing.assert_allclose(embedded, expected, atol=1e-6)


def test_implicit_values_agree_with_numpy():
    head, features = build(HEADS[3]), draw(B, D)
    values, fractions = head(features, samples=4, generator=generator())
    cosines = np.cos(np.pi * np.arange(8) * fractions.numpy()[:, :, None])
    embedded = np.maximum(numpy_linear(head.embedding, cosines), 0) * features.numpy()[:, None, :]
    expected = numpy_stack(head.layers.advantage, embedded)  # [B, S, A]
    np.testing.assert_allclose(values.detach(), expected.transpose(0, 2, 1), atol=1e-6)


def test_sample_counts_come_from_the_config_and_the_caller():
    head = build(HEADS[3])
    assert (head.num_samples, head.num_target_samples, head.num_acting_samples) == (4, 5, 2)
    assert head(draw(B, D)).values.shape == (B, A, 4)
    values, fractions = head(draw(B, D), samples=9)
    assert values.shape == (B, A, 9)
    assert fractions.shape == (B, 9)


def test_heads_without_samples_say_so():
    for config in HEADS[:3]:
        head = build(config)
        assert head.num_samples is head.num_target_samples is head.num_acting_samples is None
        assert head.risk_level == 1.0


@pytest.mark.parametrize("risk_level", [1.0, 0.25])
def test_fractions_fill_the_interval_up_to_the_risk_level(risk_level):
    head = build(HEADS[3])
    fractions = head(
        draw(B, D), samples=2000, generator=generator(), risk_level=risk_level
    ).fractions
    assert (fractions > 0).all()
    assert (fractions <= risk_level).all()
    assert fractions.min() < 0.01 * risk_level
    assert fractions.max() > 0.99 * risk_level


def test_low_risk_level_averages_the_worst_returns():
    class Identity(nn.Module):
        """Quantile function F⁻¹(τ) = τ of a uniform return, for every action."""

        def forward(self, embedded):
            return embedded[..., :1].expand(*embedded.shape[:-1], A)

    head = build(HEADS[3])
    head.layers = Identity()
    head.embed = lambda fractions: fractions.unsqueeze(2).expand(-1, -1, D)
    ones = torch.ones(1, D)
    for risk_level, expected in ((1.0, 0.5), (0.2, 0.1)):
        estimate = head(ones, samples=20_000, generator=generator(), risk_level=risk_level)
        assert head.mean(estimate)[0, 0].item() == pytest.approx(expected, rel=0.02)


def test_risk_level_of_the_config_is_offered_for_acting():
    assert build(ImplicitQuantileHead(risk_level=0.3)).risk_level == 0.3


def test_each_sample_draws_its_own_fractions_from_the_generator_alone():
    head, state = build(HEADS[3]), torch.random.get_rng_state()
    first, second = (head(draw(B, D), samples=4, generator=generator(3)) for _ in range(2))
    assert torch.equal(first.fractions, second.fractions)
    assert len(first.fractions.unique()) == B * 4
    assert torch.equal(torch.random.get_rng_state(), state)


# Dueling and noisy layers


def test_dueling_values_are_value_plus_centred_advantage():
    head = build(ScalarHead(), NetworkConfig(hidden_sizes=(7,), dueling=True))
    features = draw(B, D)
    value = numpy_stack(head.layers.value, features.numpy())
    advantage = numpy_stack(head.layers.advantage, features.numpy())
    expected = value + advantage - advantage.mean(1, keepdims=True)
    values = head(features).values.detach()
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_allclose(values.mean(1), value[:, 0], atol=1e-6)


def test_dueling_of_distributions_is_centred_for_each_atom():
    head = build(HEADS[1], NetworkConfig(hidden_sizes=(7,), dueling=True))
    features = draw(B, D)
    value = numpy_stack(head.layers.value, features.numpy())
    advantage = numpy_stack(head.layers.advantage, features.numpy()).reshape(B, A, 11)
    expected = value[:, None, :] + advantage - advantage.mean(1, keepdims=True)
    np.testing.assert_allclose(head(features).values.detach(), expected, atol=1e-6)


def test_dueling_of_implicit_quantiles_is_centred_for_each_fraction():
    head = build(HEADS[3], NetworkConfig(hidden_sizes=(7,), dueling=True))
    features = draw(B, D)
    values, fractions = head(features, samples=4, generator=generator())
    embedded = (head.embed(fractions) * features.unsqueeze(1)).detach().numpy()
    value = numpy_stack(head.layers.value, embedded)[..., 0]
    np.testing.assert_allclose(values.detach().mean(1), value, atol=1e-6)


@by_kind
def test_noisy_layers_replace_every_linear_layer_after_the_encoder(config):
    network = NetworkConfig(hidden_sizes=(7, 8), dueling=True, noisy=NoisyConfig())
    head = build(config, network)
    assert sum(isinstance(layer, NoisyLinear) for layer in head.modules()) == 6
    assert not any(isinstance(layer, nn.Linear) for layer in head.layers.modules())


@by_kind
def test_each_sample_sees_its_own_noise(config):
    head = build(config, NetworkConfig(hidden_sizes=(7,), noisy=NoisyConfig())).float()
    resample_noise(head, B, generator())
    features = torch.ones(B, D)
    values = head(features, samples=4, generator=generator()).values
    assert len(values.reshape(B, -1).unique(dim=0)) == B


@by_kind
def test_head_without_hidden_layers_is_linear(config):
    head = build(config, NetworkConfig(hidden_sizes=()))
    assert sum(isinstance(layer, nn.Linear) for layer in head.layers.modules()) == 1
    assert head(draw(B, D), samples=4).values.shape[:2] == (B, A)


@by_kind
def test_weights_alone_are_the_state(config):
    head = build(config)
    assert head.state_dict().keys() == {name for name, _ in head.named_parameters()}
