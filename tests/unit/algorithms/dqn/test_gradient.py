"""The written-out gradient is autograd's: the same updates, whichever is taken."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.dqn.gradient import ByAutograd, WrittenOut, build_gradient
from rlplug.data import TransitionBatch
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

VECTOR = gymnasium.spaces.Box(-1, 1, (3, 2), np.float32)
CASES = [
    {},
    {"head": {"kind": "scalar", "huber_threshold": None}},
    {"head": {"kind": "scalar", "huber_threshold": 0.1}, "bootstrap": {"kind": "double"}},
    {"bootstrap": {"kind": "munchausen"}},
    {"network": {"encoder": {"kind": "mlp", "hidden_sizes": []}, "hidden_sizes": []}},
    {"network": {"encoder": {"kind": "mlp", "hidden_sizes": [16]}, "hidden_sizes": [8, 8]}},
    {
        "optimizer": {
            "name": "rmsprop",
            "learning_rate": 0.01,
            "max_gradient_norm": 0.1,
            "arguments": {"eps": 1e-3},  # else a gradient that rounding made moves a weight too
        }
    },
]


def agent(settings, space=VECTOR):
    actions = gymnasium.spaces.Discrete(4, start=2)
    config = DqnConfig.model_validate({"target_update_every_updates": 2, **settings})
    return DqnAgent(config, AgentContext(space, actions, 100, Seeds(0)))


def batch(step, space=VECTOR):
    generator = torch.Generator().manual_seed(step)
    space.seed(step)
    draws = [torch.from_numpy(np.stack([space.sample() for _ in range(9)])) for _ in range(2)]
    return TransitionBatch(
        draws[0],
        2 + torch.randint(4, (9,), generator=generator),
        3 * torch.randn(9, generator=generator),
        0.9 * torch.randint(2, (9,), generator=generator),
        draws[1],
        torch.rand(9, generator=generator),
        None,
    )


def state(one):
    return torch.cat([each.flatten() for each in one.online.state_dict().values()])


@pytest.mark.parametrize("settings", CASES)
@pytest.mark.parametrize(
    "space", [VECTOR, gymnasium.spaces.MultiDiscrete([3, 4])], ids=["box", "one-hot"]
)
def test_updates_are_autograds(settings, space):
    written, traced = agent(settings, space), agent(settings, space)
    assert isinstance(written.gradient, WrittenOut)
    traced.gradient = ByAutograd(traced.online, traced.optimizer)
    start = state(written)
    for step in range(6):
        one, other = (each.update(batch(step, space)) for each in (written, traced))
        torch.testing.assert_close(one.priorities, other.priorities, rtol=1e-4, atol=1e-5)
        for name in ("loss", "q_value"):
            torch.testing.assert_close(one.metrics[name], other.metrics[name], rtol=1e-4, atol=1e-5)
        assert written.metrics() == pytest.approx(traced.metrics(), rel=1e-3)
    torch.testing.assert_close(state(written), state(traced), rtol=1e-4, atol=1e-5)
    assert not torch.equal(state(written), start)


@pytest.mark.parametrize(
    "settings",
    [
        {"head": {"kind": "quantile"}},
        {"network": {"dueling": True}},
        {"network": {"noisy": {"kind": "factorised"}}},
        {"network": {"precision": "bfloat16"}},
    ],
)
def test_other_networks_are_left_to_autograd(settings):
    assert isinstance(agent(settings).gradient, ByAutograd)


def test_network_with_a_frozen_part_is_left_to_autograd():
    one = agent({})
    one.online.encoder.requires_grad_(False)
    gradient = build_gradient(one.online, one.optimizer)
    assert isinstance(gradient, ByAutograd)
    one.gradient = gradient
    frozen = {name: each.clone() for name, each in one.online.encoder.state_dict().items()}
    before = state(one)
    one.update(batch(0))
    after = one.online.encoder.state_dict()
    assert all(torch.equal(after[name], each) for name, each in frozen.items())
    assert not torch.equal(state(one), before)


def test_values_without_a_graph_are_those_with_one():
    one = agent({})
    shown = batch(0).observation
    with_graph = one.online(shown).values
    with torch.inference_mode():
        assert torch.equal(one.online(shown).values, with_graph)
        assert torch.equal(one.online.q_values(shown), with_graph)
    assert with_graph.requires_grad
