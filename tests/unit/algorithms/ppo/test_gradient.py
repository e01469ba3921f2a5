"""The written-out gradient is autograd's: the same updates, whichever is taken."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.algorithms.ppo.experience import Minibatch, Rows
from rlplug.algorithms.ppo.gradient import ByAutograd, WrittenOut, build_gradient
from rlplug.algorithms.ppo.losses import Losses
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

VECTOR = spaces.Box(-1, 1, (3, 2), np.float32)
ACTIONS = spaces.Discrete(4, start=2)
PLAIN = {"objective": "policy-gradient"}
CASES: list[dict[str, Any]] = [
    {},
    {"entropy_coefficient": 0.05, "value_coefficient": 0.7},
    {"network": {"hidden_sizes": [16], "activation": "relu"}},
    {"network": {"hidden_sizes": []}},
    {"network": {"share_encoder": False}},
    {"optimizer": {"name": "rmsprop", "learning_rate": 0.01, "max_gradient_norm": 0.1}},
    {**PLAIN, "entropy_coefficient": 0.01},
    {**PLAIN, "advantage": "returns"},
    {**PLAIN, "advantage": "vtrace"},
]
NUM_ROWS = 17


def agent(
    settings: dict[str, Any],
    space: gymnasium.Space[Any] = VECTOR,
    actions: gymnasium.Space[Any] = ACTIONS,
) -> PpoAgent:
    return PpoAgent(PpoConfig.model_validate(settings), AgentContext(space, actions, 100, Seeds(0)))


def batch(one: PpoAgent, step: int) -> Minibatch:
    """Rows whose ratios lie on both sides of both bounds."""
    generator = torch.Generator().manual_seed(step)
    space = one.context.observation_space
    space.seed(step)
    shown = torch.from_numpy(np.stack([space.sample() for _ in range(NUM_ROWS)]))
    numbers = torch.randn(4, NUM_ROWS, generator=generator)
    has_value = one.network.has_value
    return Minibatch(
        Rows(
            seen=one.network.see(shown),
            action=torch.randint(4, (NUM_ROWS,), generator=generator),
            log_prob=-1.4 + 0.3 * numbers[0],
            advantage=numbers[1],
            target=numbers[2] if has_value else None,
            value=numbers[3] if has_value else None,
            rho=torch.rand(NUM_ROWS, generator=generator)
            if one.config.advantage.kind == "vtrace"
            else None,
        )
    )


def weights(one: PpoAgent) -> torch.Tensor:
    return torch.cat([each.flatten() for each in one.network.state_dict().values()])


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        (VECTOR, {"normalize_observations": True}),
        *itertools.product((VECTOR, spaces.MultiDiscrete([3, 4])), CASES),
    ],
)
def test_updates_are_autograds(space: gymnasium.Space[Any], settings: dict[str, Any]) -> None:
    written, traced = agent(settings, space), agent(settings, space)
    assert isinstance(written.gradient, WrittenOut)
    traced.gradient = ByAutograd(traced.network, Losses(traced.config), traced.optimizer)
    start = weights(written)
    for step in range(6):
        rows = batch(written, step)
        one, other = (each.update(rows).metrics for each in (written, traced))
        assert one.keys() == other.keys()
        for name, metric in other.items():
            torch.testing.assert_close(one[name], metric, rtol=1e-4, atol=1e-5)
        assert written.metrics() == pytest.approx(traced.metrics(), rel=1e-3)
    torch.testing.assert_close(weights(written), weights(traced), rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights(written), start)


def test_large_layers_are_multiplied_the_quick_way_with_the_same_gradient() -> None:
    settings = {"network": {"hidden_sizes": [700, 700]}}
    written, traced = agent(settings), agent(settings)
    traced.gradient = ByAutograd(traced.network, Losses(traced.config), traced.optimizer)
    for each in (written, traced):
        each.update(batch(each, 0))
    torch.testing.assert_close(weights(written), weights(traced), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "actions"),
    [
        ({"network": {"encoder": {"kind": "mlp", "hidden_sizes": [8]}}}, ACTIONS),
        ({"network": {"trunk_sizes": [8]}}, ACTIONS),
        ({"network": {"recurrent": "gru"}}, ACTIONS),
        ({"network": {"precision": "bfloat16"}}, ACTIONS),
        ({"value_clip_range": 0.2}, ACTIONS),
        ({}, spaces.Box(-1, 1, (2,), np.float32)),
        ({}, spaces.MultiDiscrete([2, 3])),
    ],
)
def test_what_has_no_written_gradient_is_left_to_autograd(
    settings: dict[str, Any], actions: gymnasium.Space[Any]
) -> None:
    assert isinstance(agent(settings, actions=actions).gradient, ByAutograd)


def test_network_with_a_frozen_part_is_left_to_autograd() -> None:
    one = agent({})
    one.network.policy_head.requires_grad_(False)
    one.gradient = build_gradient(one.network, Losses(one.config), one.optimizer)
    assert isinstance(one.gradient, ByAutograd)
    before, frozen = weights(one), one.network.policy_head.weight.clone()
    one.update(batch(one, 0))
    assert torch.equal(one.network.policy_head.weight, frozen)
    assert not torch.equal(weights(one), before)
