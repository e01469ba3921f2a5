from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from rlplug.nn.adam import fused_adam

CASES = [
    (torch.optim.Adam, {}),
    (torch.optim.Adam, {"betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}),
    (torch.optim.AdamW, {}),
    (torch.optim.AdamW, {"weight_decay": 0.5, "eps": 1e-5}),
]


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 3), (5,), ())]


def give_gradients(tensors, step):
    generator = torch.Generator().manual_seed(step)
    for tensor in tensors:
        tensor.grad = torch.randn(tensor.shape, generator=generator)


@pytest.mark.parametrize(("cls", "arguments"), CASES)
def test_steps_and_states_are_those_of_torchs_fused_class_bit_for_bit(cls, arguments):
    ours, theirs = parameters(), parameters()
    one, other = fused_adam(cls, ours, 0.01, arguments), cls(theirs, 0.01, fused=True, **arguments)
    for step in range(5):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        if step == 3:
            one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = 0.001
            ours[1].grad = theirs[1].grad = None
        one.step()
        other.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    found, expected = one.state_dict()["state"], other.state_dict()["state"]
    assert found.keys() == expected.keys()
    for at, moment in expected.items():
        assert found[at].keys() == moment.keys()
        assert all(torch.equal(found[at][name], moment[name]) for name in moment)


def test_state_of_torchs_class_is_taken_over():
    ours, theirs = parameters(), parameters()
    other = torch.optim.Adam(theirs, 0.01, fused=True)
    give_gradients(theirs, 0)
    other.step()
    with torch.no_grad():
        for mine, its in zip(ours, theirs, strict=True):
            mine.copy_(its)
    one = fused_adam(torch.optim.Adam, ours, 0.01, {})
    state = copy.deepcopy(other.state_dict())
    one.load_state_dict(state)
    for step in range(1, 4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        one.step()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert float(state["state"][0]["step"]) == 1  # what was given is not stepped on


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (torch.optim.RMSprop, {}),
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.Adam, {"fused": False}),
        (torch.optim.Adam, {"betas": [0.9, 1.0]}),
        (torch.optim.Adam, {"betas": 0.9}),
        (torch.optim.Adam, {"eps": "small"}),
        (torch.optim.Adam, {"weight_decay": -1}),
    ],
)
def test_what_it_is_not_made_for_is_left_to_torch(cls, arguments):
    assert fused_adam(cls, parameters(), 0.01, arguments) is None


def test_tensors_of_another_dtype_are_left_to_torch():
    assert fused_adam(torch.optim.Adam, [nn.Parameter(torch.zeros(2).double())], 0.01, {}) is None


def test_neither_building_nor_stepping_imports_torchs_compiler():
    script = """
import sys
import torch
from rlplug.nn.config import OptimizerConfig
from rlplug.nn.optimizer import build_optimizer
net = torch.nn.Linear(3, 2)
config = OptimizerConfig(max_gradient_norm=1.0)
optimizer = build_optimizer(config, net.parameters(), total_env_steps=1)
optimizer.step(net(torch.ones(4, 3)).sum())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=120).returncode == 0
