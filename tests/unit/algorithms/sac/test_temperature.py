from __future__ import annotations

import copy
import math
from typing import Any

import gymnasium
import pytest
import torch
from actor_critic_world import BOX, agent_context

from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
from rlplug.algorithms.sac.temperature import LearnedTemperature, build_temperature

ONES = torch.ones(4)


def learned(**settings: Any) -> LearnedTemperature:
    settings.setdefault("optimizer", {"name": "sgd", "learning_rate": 0.1})
    config = SacConfig(temperature={"kind": "automatic", **settings})
    temperature = build_temperature(config, agent_context(BOX))
    assert isinstance(temperature, LearnedTemperature)
    return temperature


def test_a_step_is_the_gradient_of_the_equation() -> None:
    temperature = learned(initial=0.5, target_entropy=-2.0)
    temperature.update(torch.tensor([1.0, 2.0, 3.0, 6.0]), ONES)
    # d/dlog α of α (H − H̄) is α (3 + 2) = 2.5
    assert temperature.value.item() == pytest.approx(0.5 * math.exp(-0.1 * 2.5))


def test_it_rises_below_the_target_and_falls_above() -> None:
    low, high = learned(target_entropy=0.0), learned(target_entropy=0.0)
    low.update(-ONES, ONES)
    high.update(ONES, ONES)
    assert high.value < 1.0 < low.value


def test_importance_weights_count_per_sample() -> None:
    temperature = learned(target_entropy=0.0)
    temperature.update(torch.tensor([1.0, 5.0, 5.0, 5.0]), torch.tensor([2.0, 0.0, 0.0, 0.0]))
    assert temperature.value.item() == pytest.approx(math.exp(-0.1 * 0.5))


def test_it_goes_on_learning_after_loading() -> None:
    first = learned()
    first.update(ONES, ONES)
    second = learned()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.value == first.value != 1.0
    for each in (first, second):
        each.update(ONES, ONES)
    assert second.value == first.value
    third = learned()
    third.load_state_dict(copy.deepcopy(second.state_dict()))
    third.update(ONES, ONES)
    assert third.value != second.value


def test_the_target_is_minus_the_dimensions_of_the_box_unless_it_is_set() -> None:
    assert learned().target_entropy == -2.0
    assert learned(target_entropy=0.0).target_entropy == 0.0
    matrix = gymnasium.spaces.Box(-1.0, 1.0, (2, 3))
    temperature = build_temperature(SacConfig(), agent_context(matrix))
    assert isinstance(temperature, LearnedTemperature)
    assert temperature.target_entropy == -6.0


def test_the_discrete_target_is_a_share_of_the_highest_entropy() -> None:
    actions = gymnasium.spaces.Discrete(5)
    for settings, share in (({}, 0.98), ({"target_entropy_fraction": 0.5}, 0.5)):
        config = DiscreteSacConfig(temperature={"kind": "automatic", **settings})
        temperature = build_temperature(config, agent_context(actions))
        assert isinstance(temperature, LearnedTemperature)
        assert temperature.target_entropy == pytest.approx(share * math.log(5))


def test_a_fixed_temperature_stays() -> None:
    config = SacConfig(temperature={"kind": "fixed", "value": 0.2})
    temperature = build_temperature(config, agent_context(BOX))
    temperature.update(ONES, ONES)
    temperature.load_state_dict(temperature.state_dict())
    assert temperature.value.item() == pytest.approx(0.2)
    assert temperature.metrics() == {}
