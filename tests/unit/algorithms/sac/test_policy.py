"""Acting: uniform at first, drawn while training, the tanh of the mean where nothing is drawn."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from actor_critic_world import BOX, forward, observe, policy_context, sequential_layers

from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
from rlplug.algorithms.sac.policy import SacPolicy

DISCRETE = gymnasium.spaces.Discrete(3, start=2)
ODD_BOXES = [
    gymnasium.spaces.Box(-2.0, 5.0, (1,)),
    gymnasium.spaces.Box(0.1, 0.3, (2, 3)),
    gymnasium.spaces.Box(-1e6, 1e-6, (2,), np.float64),
    gymnasium.spaces.Box(np.array([-0.7, 3.0], np.float32), np.array([0.1, 3.0], np.float32)),
]


def make_policy(
    actions: gymnasium.Space[Any] = BOX, num_envs: int = 4, seed: int = 0, **settings: Any
) -> SacPolicy:
    is_discrete = isinstance(actions, gymnasium.spaces.Discrete)
    config = (DiscreteSacConfig if is_discrete else SacConfig)(
        network={"hidden_sizes": [8]}, **settings
    )
    return SacPolicy(config, policy_context(actions, num_envs, seed))


def test_greedy_action_is_the_tanh_of_the_mean_in_the_units_of_the_box() -> None:
    policy = make_policy()
    observation = observe(4)
    mean = forward(observation.astype(float), sequential_layers(policy.actor.layers))[:, :2]
    low, high = BOX.low.astype(float), BOX.high.astype(float)
    expected = low + (np.tanh(mean) + 1) / 2 * (high - low)
    action = policy.act(observation, None, mode="greedy").action
    np.testing.assert_allclose(action, expected, rtol=1e-5, atol=1e-6)
    assert action.dtype == np.float32


def test_greedy_discrete_action_is_the_likeliest() -> None:
    policy = make_policy(DISCRETE, 16)
    observation = observe(16)
    logits = forward(observation.astype(float), sequential_layers(policy.actor.layers))
    action = policy.act(observation, None, mode="greedy").action
    np.testing.assert_array_equal(action, logits.argmax(1) + 2)
    assert action.dtype == np.int64


@pytest.mark.parametrize("actions", [BOX, DISCRETE], ids=["box", "discrete"])
def test_greedy_repeats_itself_and_draws_nothing(actions: gymnasium.Space[Any]) -> None:
    policy = make_policy(actions)
    before = copy.deepcopy(policy.state_dict())
    first, second = (policy.act(observe(4), None, mode="greedy").action for _ in range(2))
    np.testing.assert_array_equal(first, second)
    after = policy.state_dict()
    assert torch.equal(before["torch_generator"], after["torch_generator"])
    assert before["generator"] == after["generator"]


@pytest.mark.parametrize("actions", [BOX, DISCRETE], ids=["box", "discrete"])
def test_the_first_steps_are_uniform_over_the_space_and_later_ones_are_not(
    actions: gymnasium.Space[Any],
) -> None:
    policy = make_policy(actions, 4_000, random_env_steps=100)
    observation = observe(4_000)
    policy.set_progress(99)
    action = policy.act(observation, None, mode="explore").action
    if isinstance(actions, gymnasium.spaces.Discrete):
        _, counts = np.unique(action, return_counts=True)
        np.testing.assert_allclose(counts / 4_000, 1 / 3, atol=0.03)
    else:
        unit = (action - BOX.low) / (BOX.high - BOX.low)
        for dimension in unit.T:
            counts, _ = np.histogram(dimension, bins=10, range=(0, 1))
            np.testing.assert_allclose(counts / 4_000, 0.1, atol=0.02)
        assert abs(np.corrcoef(unit.T)[0, 1]) < 0.05
    policy.set_progress(100)
    generator = copy.deepcopy(policy.state_dict()["generator"])
    policy.act(observation, None, mode="explore")
    assert policy.state_dict()["generator"] == generator


def test_sample_mode_draws_from_the_policy_from_the_first_step_on() -> None:
    policy, other = make_policy(random_env_steps=100), make_policy(random_env_steps=0)
    drawn = policy.act(observe(4), None, mode="sample").action
    np.testing.assert_array_equal(drawn, other.act(observe(4), None, mode="explore").action)


@pytest.mark.parametrize("space", ODD_BOXES, ids=str)
def test_actions_are_inside_the_bounds_whatever_they_are(space: gymnasium.spaces.Box) -> None:
    policy = make_policy(space, 64, random_env_steps=1)
    with torch.no_grad():
        for parameter in policy.actor.parameters():
            parameter.mul_(30)  # saturates the tanh
    for mode, env_steps in (("explore", 0), ("explore", 1), ("sample", 1), ("greedy", 1)):
        policy.set_progress(env_steps)
        actions = policy.act(observe(64), None, mode=mode).action  # type: ignore[arg-type]
        assert actions.shape == (64, *space.shape)
        assert actions.dtype == space.dtype
        assert all(space.contains(action) for action in actions)


def test_saturated_actions_reach_both_ends_of_the_box() -> None:
    policy = make_policy(gymnasium.spaces.Box(-2.0, 5.0, (1,)))
    for mean, end in ((50.0, 5.0), (-50.0, -2.0)):
        with torch.no_grad():
            policy.actor.layers[-1].bias[0] = mean  # type: ignore[index]
        assert (policy.act(observe(4), None, mode="greedy").action == end).all()


@pytest.mark.parametrize("actions", [BOX, DISCRETE], ids=["box", "discrete"])
def test_a_loaded_policy_continues_draw_by_draw(actions: gymnasium.Space[Any]) -> None:
    policy, other = (make_policy(actions, seed=seed, random_env_steps=2) for seed in (0, 5))
    other.set_weights(policy.actor.state_dict())
    policy.act(observe(4), None, mode="explore")
    policy.set_progress(2)
    policy.act(observe(4), None, mode="explore")
    other.load_state_dict(copy.deepcopy(policy.state_dict()))
    for _ in range(3):
        left, right = (each.act(observe(4), None, mode="explore") for each in (policy, other))
        np.testing.assert_array_equal(left.action, right.action)


def test_it_keeps_no_recurrent_state() -> None:
    policy = make_policy()
    assert policy.initial_state(4) is None
    assert policy.reset(None, np.ones(4, np.bool_)) is None
    assert policy.metrics() == {}


@pytest.mark.parametrize(("rows", "is_float32"), [(1, True), (15, True), (16, False)])
def test_few_rows_are_acted_for_in_float32(rows: int, is_float32: bool) -> None:
    actions = []
    for precision in ("float32", "bfloat16"):
        network = {"hidden_sizes": [8], "precision": precision}
        policy = SacPolicy(SacConfig(network=network), policy_context(BOX, rows, 0))
        actions.append(policy.act(observe(rows), None, mode="greedy").action)
    assert np.array_equal(*actions) == is_float32
