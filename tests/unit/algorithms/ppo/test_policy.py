"""Acting: exact log-probabilities, modes, units of the action space, masks and recurrent states."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.algorithms.ppo.policy import PpoPolicy
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds

OBSERVATIONS = spaces.Box(-1.0, 1.0, (3,), np.float32)
ODD_BOX = spaces.Box(
    np.array([-3.0, 0.5], np.float32), np.array([-1.0, 4.5], np.float32), dtype=np.float32
)
SPACES: dict[str, gymnasium.Space[Any]] = {
    "discrete": spaces.Discrete(3),
    "shifted": spaces.Discrete(3, start=-1),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(3),
    "box": ODD_BOX,
    "box of doubles": spaces.Box(-2.0, 2.0, (2, 2), np.float64),
    "open box": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "dict": spaces.Dict({"gear": spaces.Discrete(3, start=1), "wheel": ODD_BOX}),
    "tuple": spaces.Tuple((spaces.MultiBinary(2), spaces.Box(-1.0, 1.0, (1,)))),
}


def make_policy(
    action_space: Any, num_envs: int = 5, *, observation_space: Any = OBSERVATIONS, **settings: Any
) -> PpoPolicy:
    context = PolicyContext(
        observation_space, action_space, np.arange(num_envs), num_envs, 1_000, Seeds(0)
    )
    return PpoPolicy(PpoConfig(**settings), context)


def observe(num_envs: int = 5, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).uniform(-1, 1, (num_envs, 3)).astype(np.float32)


def row(tree: Any, n: int) -> Any:
    """One environment's part of an action."""
    if isinstance(tree, dict):
        return {key: row(part, n) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(row(part, n) for part in tree)
    return tree[n]


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("mode", ["explore", "sample", "greedy"])
def test_actions_are_in_the_terms_of_the_space(kind: str, mode: Any) -> None:
    space = SPACES[kind]
    action = make_policy(space).act(observe(), None, mode=mode).action
    wide = _without_bounds(space)  # a Gaussian may overshoot: the environment's side clips
    assert all(wide.contains(row(action, n)) for n in range(5))


def _without_bounds(space: Any) -> Any:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _without_bounds(part) for key, part in space.items()})
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple(tuple(_without_bounds(part) for part in space))
    if isinstance(space, spaces.Box):
        return spaces.Box(-np.inf, np.inf, space.shape, space.dtype)
    return space


@pytest.mark.parametrize("kind", SPACES)
def test_log_probability_is_exactly_that_of_the_stored_action(kind: str) -> None:
    policy = make_policy(SPACES[kind])
    for _ in range(3):
        step = policy.act(observe(), None, mode="explore")
        with torch.no_grad():
            network = policy.network
            distribution, *_ = network(network.see(torch.from_numpy(observe())))
            stored = torch.utils._pytree.tree_map(torch.from_numpy, step.action)
            again = distribution.log_prob(network.actions.from_environment(stored))
        np.testing.assert_array_equal(step.extras["log_prob"], again.numpy())


def test_density_of_a_bounded_action_is_that_of_a_normal_in_units_of_half_its_width() -> None:
    policy = make_policy(ODD_BOX, 1, network={"initial_log_std": -0.5})
    action, _, extras = policy.act(observe(1), None, mode="explore")
    with torch.no_grad():
        network = policy.network
        mean = network.act(network.see(torch.from_numpy(observe(1))), None)[0].mean
    unit = (torch.from_numpy(action) - torch.tensor([-2.0, 2.5])) / torch.tensor([1.0, 2.0])
    normal = torch.distributions.Normal(mean, np.exp(-0.5))
    expected = normal.log_prob(unit).sum().item()
    assert extras["log_prob"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", SPACES)
def test_greedy_draws_nothing_and_repeats_itself(kind: str) -> None:
    policy = make_policy(SPACES[kind])
    before = policy.generator.get_state()
    first, second = (policy.act(observe(), None, mode="greedy").action for _ in range(2))
    assert torch.equal(before, policy.generator.get_state())
    for n in range(5):
        np.testing.assert_equal(row(first, n), row(second, n))


def test_exploring_draws_each_environment_by_itself() -> None:
    same = np.repeat(observe(1), 200, axis=0)
    action = make_policy(spaces.Discrete(2), 200).act(same, None, mode="explore").action
    assert 60 < action.sum() < 140  # the untrained policy is nearly uniform


def test_probabilities_of_the_untrained_policy_are_nearly_uniform() -> None:
    log_prob = make_policy(spaces.Discrete(4)).act(observe(), None, mode="explore").extras
    np.testing.assert_allclose(np.exp(log_prob["log_prob"]), 0.25, atol=0.02)


MASKED = spaces.Dict({"place": OBSERVATIONS, "action_mask": spaces.MultiBinary(4)})


def masked_observation(mask: list[int]) -> Any:
    masks = np.repeat(np.array([mask], np.int8), 5, axis=0)
    return {"place": observe(), "action_mask": masks}


def test_a_masked_action_is_never_taken() -> None:
    policy = make_policy(spaces.Discrete(4, start=2), observation_space=MASKED)
    for _ in range(50):
        action = policy.act(masked_observation([0, 1, 0, 1]), None, mode="explore").action
        assert set(action) <= {3, 5}
    one_left = policy.act(masked_observation([0, 0, 1, 0]), None, mode="greedy")
    assert (one_left.action == 4).all()
    np.testing.assert_allclose(one_left.extras["log_prob"], 0, atol=1e-6)


def test_the_mask_is_no_feature_of_the_network() -> None:
    policy = make_policy(spaces.Discrete(4), observation_space=MASKED)
    assert policy.network.encoders[0].num_features == 3


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_state_goes_from_step_to_step_and_back_to_zero_where_told(kind: str) -> None:
    policy = make_policy(spaces.Discrete(2), network={"recurrent": kind})
    start = policy.initial_state(5)
    assert start.shape == (5, policy.network.state_size)
    assert not start.any()
    first = policy.act(observe(), start, mode="greedy")
    np.testing.assert_array_equal(first.extras["recurrent_state"], start)
    assert first.state.any(axis=1).all()
    second = policy.act(observe(seed=1), first.state, mode="greedy")
    np.testing.assert_array_equal(second.extras["recurrent_state"], first.state)
    which = np.array([True, False, False, True, False])
    after = policy.reset(second.state, which)
    assert not after[which].any()
    np.testing.assert_array_equal(after[~which], second.state[~which])
    assert second.state.any(axis=1).all()  # reset changes no array in place


def test_acting_without_memory_has_no_state() -> None:
    policy = make_policy(spaces.Discrete(2))
    step = policy.act(observe(), policy.initial_state(5), mode="explore")
    assert step.state is None
    assert policy.reset(None, np.ones(5, bool)) is None
    assert set(step.extras) == {"log_prob"}


def test_a_loaded_policy_draws_on_where_the_saved_one_stopped() -> None:
    policy, other = (make_policy(spaces.Discrete(5)) for _ in range(2))
    policy.act(observe(), None, mode="explore")
    other.load_state_dict(policy.state_dict())
    left, right = (each.act(observe(), None, mode="explore").action for each in (policy, other))
    np.testing.assert_array_equal(left, right)


def test_acting_changes_neither_observation_nor_weights() -> None:
    policy = make_policy(ODD_BOX, normalize_observations=True)
    observation, before = observe(), policy.network.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    policy.act(observation, None, mode="explore")
    np.testing.assert_array_equal(observation, observe())
    after = policy.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
