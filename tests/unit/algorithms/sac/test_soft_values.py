"""Hand cases: what a policy is worth under critics that are tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from gymnasium import spaces

from rlplug.algorithms.sac.soft_values import AllActions, DrawnActions
from rlplug.nn.action_spaces import distribution_for
from rlplug.nn.distributions import Categorical

ALPHA = torch.tensor(0.5)


class FixedActor:
    """A distribution that is the same everywhere."""

    def __init__(self, space: spaces.Space[Any], distribution: Any) -> None:
        self.actions = distribution_for(space, box="squashed", log_std="state")
        self.distribution = distribution

    def __call__(self, observation: Any) -> Any:
        return self.distribution

    def split_mask(self, observation: Any) -> Any:
        return observation, None


class Draw:
    """A distribution with one possible draw."""

    def __init__(self, action: torch.Tensor, log_prob: torch.Tensor) -> None:
        self.drawn = action, log_prob

    def sample_with_log_prob(self, generator: torch.Generator) -> Any:
        return self.drawn


def test_discrete_value_is_the_expectation_of_the_lower_critic_plus_entropy() -> None:
    policy = Categorical(torch.log(torch.tensor([[0.25, 0.75]])))
    values = torch.tensor([[[1.0, 4.0]], [[2.0, 3.0]]])  # [C, B, A]
    kind = AllActions(FixedActor(spaces.Discrete(2), policy))  # type: ignore[arg-type]
    value, entropy = kind.soft_value(lambda _: values, None, ALPHA)
    expected_entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert entropy.item() == pytest.approx(expected_entropy)
    # the lower critic is chosen per action, not once for the expectation (which would give 2.75)
    expected = 0.25 * 1 + 0.75 * 3 + 0.5 * expected_entropy
    assert value.item() == pytest.approx(expected)


def test_discrete_taken_actions_are_looked_up_from_the_start_of_the_space() -> None:
    values = torch.arange(12.0).reshape(2, 2, 3)  # [C, B, A]
    kind = AllActions(FixedActor(spaces.Discrete(3, start=5), None))  # type: ignore[arg-type]
    taken = kind.taken(lambda _: values, None, torch.tensor([7, 5]))
    assert taken.tolist() == [[2.0, 3.0], [8.0, 9.0]]


def test_drawn_value_is_the_lower_critic_minus_the_scaled_log_probability() -> None:
    draw = Draw(torch.tensor([[0.1], [0.2]]), torch.tensor([-1.0, 2.0]))
    kind = DrawnActions(FixedActor(spaces.Box(-1, 1, (1,)), draw), torch.Generator())  # type: ignore[arg-type]
    critic = lambda _, action: torch.stack((action[:, 0] * 10, torch.tensor([5.0, 1.0])))  # noqa: E731
    value, entropy = kind.soft_value(critic, None, ALPHA)
    assert value.tolist() == pytest.approx([1.0 + 0.5, 1.0 - 1.0])
    assert entropy.tolist() == [1.0, -2.0]


def test_taken_box_actions_reach_the_critic_in_its_own_units() -> None:
    space = spaces.Box(-2.0, 5.0, (1,))
    kind = DrawnActions(FixedActor(space, None), torch.Generator())  # type: ignore[arg-type]
    seen = kind.taken(lambda _, action: action.T, None, torch.tensor([[-2.0], [1.5], [5.0]]))
    assert seen.tolist() == [[-1.0, 0.0, 1.0]]
