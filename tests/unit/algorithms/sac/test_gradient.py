"""The written-out gradient is autograd's: the same updates, whichever is taken."""

from __future__ import annotations

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from actor_critic_world import agent_context, make_batch

from rlplug.algorithms.sac.agent import SacAgent
from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
from rlplug.algorithms.sac.gradient import ByAutograd, Networks, WrittenOut, build_gradient

BOX = gymnasium.spaces.Box(np.array([-1, 0.5, -3], np.float32), np.array([1, 2, 5], np.float32))
SIZES = {"hidden_sizes": [16, 8]}
CASES = [
    {},
    {"num_critics": 1},
    {"num_critics": 3, "temperature": {"kind": "fixed", "value": 0.7}},
    {"network": {"hidden_sizes": [16]}},
    {"network": {"hidden_sizes": [16, 8, 8]}, "target_update_rate": 1.0},
    {
        "critic_optimizer": {
            "name": "rmsprop",
            "learning_rate": 0.01,
            "max_gradient_norm": 0.1,
            "arguments": {"eps": 1e-3},  # else a gradient that rounding made moves a weight too
        },
        "actor_optimizer": {"name": "sgd", "learning_rate": 0.01, "max_gradient_norm": 0.1},
    },
]


def agent(settings, actions=BOX, config=SacConfig):
    chosen = {"network": SIZES, **settings}
    return SacAgent(config.model_validate(chosen), agent_context(actions))


def networks(one):
    return Networks(
        one.actor, one.critic, one.target_critic, one.actor_optimizer, one.critic_optimizer
    )


def traced(settings):
    one = agent(settings)
    one.gradient = ByAutograd(networks(one), one.kind)
    return one


def state(one):
    parts = (one.actor, one.critic, one.target_critic)
    return torch.cat([each.flatten() for part in parts for each in part.state_dict().values()])


def weighted_batch(seed):
    weights = torch.rand(64, generator=torch.Generator().manual_seed(seed))
    batch = make_batch(BOX, seed)
    return batch._replace(importance_weight=weights[: len(batch.reward)])


def assert_same_updates(written, other, *, rtol, atol, steps=6):
    assert isinstance(written.gradient, WrittenOut)
    close = partial(torch.testing.assert_close, rtol=rtol, atol=atol)
    start = state(written)
    for seed in range(steps):
        mine, its = (each.update(weighted_batch(seed)) for each in (written, other))
        close(mine.priorities, its.priorities)
        for name, value in its.metrics.items():
            close(mine.metrics[name], value, msg=lambda text, name=name: f"{name}: {text}")
    close(state(written), state(other))
    assert not torch.equal(state(written), start)


@pytest.mark.parametrize("settings", CASES)
def test_updates_are_autograds(settings):
    written, other = agent(settings), traced(settings)
    assert_same_updates(written, other, rtol=1e-4, atol=1e-5)
    assert written.metrics() == pytest.approx(other.metrics(), rel=1e-3)
    assert torch.equal(written.generator.get_state(), other.generator.get_state())


def test_updates_in_bfloat16_are_autograds_to_its_rounding():
    settings = {
        "network": {"hidden_sizes": [32, 32], "precision": "bfloat16"},
        # Adam's steps have one size whatever the gradient: rounding that turns a sign would be seen
        "critic_optimizer": {"name": "sgd", "learning_rate": 0.01},
        "actor_optimizer": {"name": "sgd", "learning_rate": 0.01},
    }
    written = agent(settings)
    assert_same_updates(written, traced(settings), rtol=0.02, atol=0.01)
    plain = agent({**settings, "network": {"hidden_sizes": [32, 32]}})
    for seed in range(6):
        plain.update(weighted_batch(seed))
    assert not torch.equal(state(plain), state(written))


def test_no_slope_comes_from_a_standard_deviation_beyond_its_range():
    written, other = agent({}), traced({})
    for one in (written, other):
        with torch.no_grad():
            one.actor.layers[-1].bias[3:] = torch.tensor([5.0, -30.0, 0.0])
    before = written.actor.layers[-1].bias.clone()
    assert_same_updates(written, other, rtol=1e-4, atol=1e-5)
    after = written.actor.layers[-1].bias
    assert torch.equal(after[3:5], before[3:5])
    assert not torch.equal(after[5:], before[5:])


def test_a_loaded_agent_is_stepped_by_the_gradient_written_for_its_networks():
    written, other = agent({}), agent({})
    for seed in range(3):
        written.update(weighted_batch(seed))
    other.load_state_dict(written.state_dict())
    for one in (written, other):
        one.update(weighted_batch(3))
    assert torch.equal(state(written), state(other))


@pytest.mark.parametrize("encoder", [{"kind": "mlp", "hidden_sizes": [8]}])
def test_encoders_with_layers_are_left_to_autograd(encoder):
    one = agent({"network": {**SIZES, "encoder": encoder}})
    assert isinstance(one.gradient, ByAutograd)


def test_discrete_actions_are_left_to_autograd():
    one = agent({}, gymnasium.spaces.Discrete(3), DiscreteSacConfig)
    assert isinstance(one.gradient, ByAutograd)


@pytest.mark.parametrize("part", ["actor", "critic"])
def test_network_with_a_frozen_part_is_left_to_autograd(part):
    one = agent({})
    next(getattr(one, part).parameters()).requires_grad_(False)
    assert isinstance(build_gradient(networks(one), one.kind), ByAutograd)
