from __future__ import annotations

import copy

import torch
from torch import nn

from rlplug.nn.config import OptimizerConfig
from rlplug.nn.flat import FlatParameters
from rlplug.nn.optimizer import build_optimizer


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def test_parameters_keep_values_shapes_and_names_and_follow_the_vector():
    net = network()
    before = copy.deepcopy(net.state_dict())
    flat = FlatParameters(list(net.parameters()))
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    with torch.no_grad():
        flat.vector.mul_(2)
    assert all(torch.equal(after[name], 2 * value) for name, value in before.items())
    net.load_state_dict(before)
    assert torch.equal(flat.vector, torch.cat([value.flatten() for value in before.values()]))


def test_copy_of_the_network_stands_alone():
    net = network()
    flat = FlatParameters(list(net.parameters()))
    twin = copy.deepcopy(net)
    weight = twin[0].weight.detach().clone()
    with torch.no_grad():
        flat.vector.zero_()
    assert torch.equal(twin[0].weight, weight)


def test_parameter_without_a_gradient_stays_where_it_is():
    net = network()
    unused = net[2].weight.detach().clone()
    build_optimizer(OptimizerConfig(), net.parameters(), total_env_steps=1).step(
        net[0](torch.ones(4, 3)).sum()
    )
    assert torch.equal(net[2].weight, unused)
    assert not torch.equal(net[0].weight, network()[0].weight)


def test_steps_on_one_vector_are_steps_on_each_tensor():
    flat, listed = network(), network()
    optimizer = build_optimizer(
        OptimizerConfig(learning_rate=0.01, max_gradient_norm=0.5),
        flat.parameters(),
        total_env_steps=1,
    )
    torchs_own = torch.optim.Adam(listed.parameters(), lr=0.01)
    for step in range(20):
        features = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        losses = [(one(features) - features[:, :2]).square().mean() for one in (flat, listed)]
        optimizer.step(losses[0])
        torchs_own.zero_grad()
        losses[1].backward()
        nn.utils.clip_grad_norm_(listed.parameters(), 0.5)
        torchs_own.step()
    for one, other in zip(flat.parameters(), listed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    saved = optimizer.state_dict()["moments"]
    for index, parameter in enumerate(listed.parameters()):
        expected = torchs_own.state[parameter]
        assert saved[str(index)]["exp_avg"].shape == parameter.shape
        torch.testing.assert_close(
            saved[str(index)]["exp_avg"], expected["exp_avg"], rtol=1e-4, atol=1e-7
        )
        assert saved[str(index)]["step"] == 20
