from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from rlplug.nn.config import AutoEncoder
from rlplug.nn.critic import ActionCritic, DiscreteCritic, frozen, mlp
from rlplug.nn.encoders import build_encoder

SPACES = {
    "vector": gymnasium.spaces.Box(-1.0, 1.0, (3,)),
    "image": gymnasium.spaces.Box(0, 255, (3, 40, 40), np.uint8),
    "integer": gymnasium.spaces.Discrete(4),
    "tree": gymnasium.spaces.Dict(
        {"a": gymnasium.spaces.Box(-1.0, 1.0, (2,)), "b": gymnasium.spaces.MultiBinary(2)}
    ),
}


def observation_of(space: gymnasium.Space, rows: int):
    samples = [space.sample() for _ in range(rows)]
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: torch.as_tensor(np.stack([s[key] for s in samples])) for key in space}
    return torch.as_tensor(np.stack(samples))


@pytest.mark.parametrize("name", SPACES)
def test_critics_take_every_observation_that_encoders_do(name: str) -> None:
    space = SPACES[name]
    space.seed(0)
    observation = observation_of(space, 5)
    encoder = build_encoder(AutoEncoder(hidden_sizes=()), space)
    critic = ActionCritic(encoder, 2, (8,), 3)
    assert critic(observation, torch.zeros(5, 2)).shape == (3, 5)
    assert critic(observation, torch.zeros(5, 2), members=1).shape == (1, 5)
    assert DiscreteCritic(encoder, 4, (8,), 2)(observation).shape == (2, 5, 4)


def test_a_value_depends_on_observation_and_action() -> None:
    critic = ActionCritic(build_encoder(AutoEncoder(hidden_sizes=()), SPACES["vector"]), 1, (8,), 2)
    observation, action = torch.rand(4, 3), torch.rand(4, 1)
    value = critic(observation, action)
    assert (critic(observation + 1, action) != value).all()
    assert (critic(observation, action + 1) != value).all()


def test_frozen_weights_get_no_gradient_and_pass_it_on() -> None:
    critic = ActionCritic(build_encoder(AutoEncoder(hidden_sizes=()), SPACES["vector"]), 1, (8,), 2)
    action = torch.rand(4, 1, requires_grad=True)
    with frozen(list(critic.parameters())):
        critic(torch.rand(4, 3), action).sum().backward()
    assert action.grad is not None
    assert action.grad.any()
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())


def test_weights_thaw_when_what_froze_them_fails() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError), frozen(list(layer.parameters())):
        raise ZeroDivisionError
    assert all(p.requires_grad for p in layer.parameters())


def test_an_mlp_ends_without_an_activation() -> None:
    layers = mlp((3, 5, 4, 2))
    assert [type(layer).__name__ for layer in layers] == [
        "Linear",
        "ReLU",
        "Linear",
        "ReLU",
        "Linear",
    ]
    assert mlp((3, 2))[0].weight.shape == (2, 3)
