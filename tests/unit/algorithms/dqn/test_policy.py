"""Acting: one coin per environment, schedules, the ladder, and modes."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.dqn.policy import DqnPolicy
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds

OBSERVATIONS = gymnasium.spaces.Box(-1.0, 1.0, (3,))


def make_policy(
    num_envs: int = 4, *, num_actions: int = 5, start: int = 0, first_stream: int = 0,
    num_streams: int | None = None, **settings: Any,
) -> DqnPolicy:  # fmt: skip
    context = PolicyContext(
        OBSERVATIONS,
        gymnasium.spaces.Discrete(num_actions, start=start),
        np.arange(first_stream, first_stream + num_envs),
        num_streams or num_envs,
        1_000,
        Seeds(0),
    )
    return DqnPolicy(DqnConfig(**settings), context)


def observe(num_envs: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).random((num_envs, 3), np.float32)


def test_each_environment_draws_its_own_coin() -> None:
    policy = make_policy(64, exploration={"kind": "epsilon", "epsilon": 0.5})
    observation = np.repeat(observe(1), 64, axis=0)  # greedy actions would be all the same
    mixed = [len(set(policy.act(observation, None, mode="explore").action)) for _ in range(20)]
    assert min(mixed) > 1


def test_share_of_random_actions_is_epsilon() -> None:
    policy = make_policy(1_000, exploration={"kind": "epsilon", "epsilon": 0.3})
    observation = np.repeat(observe(1), 1_000, axis=0)
    greedy = policy.act(observation, None, mode="greedy").action[0]
    other = np.mean(
        [(policy.act(observation, None, mode="explore").action != greedy).mean() for _ in range(20)]
    )
    assert other == pytest.approx(0.3 * 4 / 5, abs=0.02)  # a random action may be the greedy one


def test_epsilon_falls_with_the_step_count_also_when_learning_starts_late() -> None:
    policy = make_policy(
        exploration={"kind": "epsilon", "epsilon": {"kind": "linear", "start": 1, "end": 0.1}}
    )
    seen = []
    for env_steps in (0, 500, 1_000, 5_000):
        policy.set_progress(env_steps)
        seen.append(policy.metrics()["epsilon"])
    assert seen == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_ladder_gives_each_environment_its_constant_epsilon() -> None:
    ladder = {"kind": "epsilon", "epsilon": 0.4, "ladder_exponent": 7}
    whole = make_policy(8, exploration=ladder)
    expected = 0.4 ** (1 + np.arange(8) / 7 * 7)
    np.testing.assert_allclose(whole._epsilon(8), expected)
    part = make_policy(3, first_stream=5, num_streams=8, exploration=ladder)
    np.testing.assert_allclose(part._epsilon(3), expected[5:])


def test_ladder_with_one_environment_is_its_first_rung() -> None:
    policy = make_policy(1, exploration={"kind": "epsilon", "epsilon": 0.4, "ladder_exponent": 7})
    np.testing.assert_allclose(policy._epsilon(1), [0.4])


def test_greedy_repeats_itself_and_draws_nothing() -> None:
    policy = make_policy(exploration={"kind": "epsilon", "epsilon": 1.0})
    before = policy.state_dict()["generator"]
    actions = {tuple(policy.act(observe(4), None, mode="greedy").action) for _ in range(5)}
    assert len(actions) == 1
    assert policy.state_dict()["generator"] == before


def test_evaluation_epsilon_acts_in_greedy_mode() -> None:
    policy = make_policy(
        200, exploration={"kind": "epsilon", "epsilon": 0.0, "evaluation_epsilon": 1.0}
    )
    observation = np.repeat(observe(1), 200, axis=0)
    assert len(set(policy.act(observation, None, mode="greedy").action)) == 5


def test_actions_are_in_the_spaces_own_numbering() -> None:
    policy = make_policy(500, start=10, exploration={"kind": "epsilon", "epsilon": 1.0})
    actions = policy.act(observe(500), None, mode="explore").action
    assert actions.dtype == np.int64
    assert set(actions) == {10, 11, 12, 13, 14}


def test_noise_differs_between_environments_and_steps_and_is_absent_in_greedy_mode() -> None:
    noisy = {"exploration": "noisy", "network": {"noisy": {"initial_sigma": 5.0}}}
    policy = make_policy(64, **noisy)
    observation = np.repeat(observe(1), 64, axis=0)
    first, second = (policy.act(observation, None, mode="explore").action for _ in range(2))
    assert len(set(first)) > 1
    assert (first != second).any()
    assert len(set(policy.act(observation, None, mode="greedy").action)) == 1


def test_noisy_exploration_never_stays_random_in_a_worker() -> None:
    policy = make_policy(64, exploration="noisy", network={"noisy": {"initial_sigma": 1e-9}})
    observation = np.repeat(observe(1), 64, axis=0)
    assert len(set(policy.act(observation, None, mode="explore").action)) == 1


def test_acting_changes_neither_observation_nor_weights() -> None:
    policy = make_policy()
    observation = observe(4)
    kept = observation.copy()
    weights = {name: tensor.clone() for name, tensor in policy.network.state_dict().items()}
    policy.act(observation, None, mode="explore")
    np.testing.assert_array_equal(observation, kept)
    assert all(weights[n].equal(t) for n, t in policy.network.state_dict().items())


def test_a_loaded_policy_continues_with_the_same_draws() -> None:
    one, other = (make_policy(exploration={"kind": "epsilon", "epsilon": 0.5}) for _ in range(2))
    for _ in range(7):
        one.act(observe(4), None, mode="explore")
    other.load_state_dict(one.state_dict())
    for seed in range(5):
        left = one.act(observe(4, seed), None, mode="explore").action
        right = other.act(observe(4, seed), None, mode="explore").action
        np.testing.assert_array_equal(left, right)


def test_risk_level_below_one_prefers_the_safe_action() -> None:
    import torch

    policy = make_policy(1, num_actions=2, head={"kind": "implicit-quantile", "risk_level": 0.2})

    def quantiles(features: Any, *, risk_level: float, **_: Any) -> Any:
        fractions = torch.linspace(0, risk_level, 32)[None]
        risky, safe = 10 * fractions - 4, torch.zeros_like(fractions)  # means 1 and 0
        from rlplug.algorithms.dqn.heads import Estimate

        return Estimate(torch.stack([risky, safe], 1), fractions)

    policy.network.head.forward = quantiles  # type: ignore[method-assign,assignment]
    assert policy.act(observe(1), None, mode="greedy").action == 1
    policy.risk_level = 1.0
    assert policy.act(observe(1), None, mode="greedy").action == 0
