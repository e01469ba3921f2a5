"""Acting: uniform at first, noisy while training, the actor alone in greedy mode."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from actor_critic_world import BOX, forward, observe, policy_context, sequential_layers

from rlplug.algorithms.td3.config import Td3Config
from rlplug.algorithms.td3.policy import Td3Policy

NOISES = ["gaussian", "ornstein-uhlenbeck"]
ODD_BOXES = [
    gymnasium.spaces.Box(-2.0, 5.0, (1,)),
    gymnasium.spaces.Box(0.1, 0.3, (2, 3)),
    gymnasium.spaces.Box(-1e6, 1e-6, (2,), np.float64),
    gymnasium.spaces.Box(np.array([-0.7, 3.0], np.float32), np.array([0.1, 3.0], np.float32)),
]


def make_policy(
    actions: gymnasium.spaces.Box = BOX, num_envs: int = 4, seed: int = 0, **settings: Any
) -> Td3Policy:
    settings = {"network": {"hidden_sizes": [8]}, "random_env_steps": 0} | settings
    return Td3Policy(Td3Config(**settings), policy_context(actions, num_envs, seed))


def in_unit_box(action: Any) -> Any:
    low, high = BOX.low.astype(float), BOX.high.astype(float)
    return 2 * (action - low) / (high - low) - 1


def test_greedy_action_is_the_tanh_of_the_network_in_the_units_of_the_box() -> None:
    policy = make_policy()
    observation = observe(4)
    expected = np.tanh(forward(observation.astype(float), sequential_layers(policy.actor.layers)))
    action = policy.act(observation, None, mode="greedy").action
    np.testing.assert_allclose(in_unit_box(action), expected, atol=1e-5)
    assert action.dtype == np.float32


@pytest.mark.parametrize("kind", NOISES)
def test_greedy_repeats_itself_and_moves_no_noise(kind: str) -> None:
    policy = make_policy(exploration=kind)
    policy.act(observe(4), None, mode="explore")
    before = copy.deepcopy(policy.state_dict())
    first, second = (policy.act(observe(4), None, mode="greedy").action for _ in range(2))
    np.testing.assert_array_equal(first, second)
    after = policy.state_dict()
    np.testing.assert_array_equal(before["noise"]["value"], after["noise"]["value"])
    assert before["noise"]["generator"] == after["noise"]["generator"]


@pytest.mark.parametrize("mode", ["explore", "sample"])
def test_training_adds_noise_scaled_to_the_box(mode: Any) -> None:
    policy = make_policy(num_envs=2_000, exploration={"kind": "gaussian", "scale": 0.05})
    observation = np.repeat(observe(1), 2_000, axis=0)
    greedy = in_unit_box(policy.act(observation, None, mode="greedy").action)
    noisy = in_unit_box(policy.act(observation, None, mode=mode).action)
    np.testing.assert_allclose((noisy - greedy).std(axis=0), 0.05, rtol=0.1)
    assert abs(np.corrcoef((noisy - greedy).T)[0, 1]) < 0.1


def test_the_first_steps_are_uniform_over_the_box() -> None:
    policy = make_policy(num_envs=4_000, random_env_steps=100)
    policy.set_progress(99)
    unit = in_unit_box(policy.act(observe(4_000), None, mode="explore").action)
    for dimension in unit.T:
        counts, _ = np.histogram(dimension, bins=10, range=(-1, 1))
        np.testing.assert_allclose(counts / 4_000, 0.1, atol=0.02)
    policy.set_progress(100)
    assert in_unit_box(policy.act(observe(4_000), None, mode="explore").action).std() < 0.5
    policy.set_progress(0)
    assert in_unit_box(policy.act(observe(4_000), None, mode="sample").action).std() < 0.5


@pytest.mark.parametrize("space", ODD_BOXES, ids=str)
def test_actions_are_inside_the_bounds_whatever_they_are(space: gymnasium.spaces.Box) -> None:
    policy = make_policy(
        space, 64, random_env_steps=1, exploration={"kind": "gaussian", "scale": 2}
    )
    for mode, env_steps in (("explore", 0), ("explore", 1), ("sample", 1), ("greedy", 1)):
        policy.set_progress(env_steps)
        actions = policy.act(observe(64), None, mode=mode).action  # type: ignore[arg-type]
        assert actions.shape == (64, *space.shape)
        assert actions.dtype == space.dtype
        assert all(space.contains(action) for action in actions)


def test_saturated_actions_reach_both_ends_of_the_box() -> None:
    policy = make_policy(gymnasium.spaces.Box(-2.0, 5.0, (1,)))
    for output, end in ((50.0, 5.0), (-50.0, -2.0)):
        with torch.no_grad():
            policy.actor.layers[-1].bias[0] = output  # type: ignore[index]
        assert (policy.act(observe(4), None, mode="greedy").action == end).all()


def test_noise_starts_again_where_an_episode_does() -> None:
    policy = make_policy(exploration="ornstein-uhlenbeck")
    policy.act(observe(4), None, mode="explore")
    assert policy.noise.value.all()
    policy.reset(None, np.array([True, False, False, True]))
    assert not policy.noise.value[[0, 3]].any()
    assert policy.noise.value[[1, 2]].all()


@pytest.mark.parametrize("kind", NOISES)
def test_a_loaded_policy_continues_draw_by_draw(kind: str) -> None:
    policy, other = (
        make_policy(seed=seed, exploration=kind, random_env_steps=2) for seed in (0, 5)
    )
    other.set_weights(policy.actor.state_dict())
    policy.act(observe(4), None, mode="explore")
    policy.set_progress(2)
    policy.act(observe(4), None, mode="explore")
    other.load_state_dict(copy.deepcopy(policy.state_dict()))
    for _ in range(3):
        left, right = (each.act(observe(4), None, mode="explore") for each in (policy, other))
        np.testing.assert_array_equal(left.action, right.action)


def test_metrics_tell_the_noise() -> None:
    assert make_policy().metrics() == {"noise_scale": pytest.approx(0.1)}


@pytest.mark.parametrize(("rows", "is_float32"), [(1, True), (15, True), (16, False)])
def test_few_rows_are_acted_for_in_float32(rows: int, is_float32: bool) -> None:
    actions = []
    for precision in ("float32", "bfloat16"):
        network = {"hidden_sizes": [8], "precision": precision}
        policy = Td3Policy(Td3Config(network=network), policy_context(BOX, rows, 0))
        actions.append(policy.act(observe(rows), None, mode="greedy").action)
    assert np.array_equal(*actions) == is_float32
