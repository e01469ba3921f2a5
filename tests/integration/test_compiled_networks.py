"""Runs whose networks are compiled: the same results, and resumed to the bit."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from torch import nn

ON_CARTPOLE = "cartpole --steps 300 --launch.threads 1"
ON_PENDULUM = "pendulum --steps 160 --launch.threads 1"
LINES = [
    f"dqn {ON_CARTPOLE}",
    f"rainbow {ON_CARTPOLE}",
    f"iqn {ON_CARTPOLE}",
    f"ppo {ON_CARTPOLE}",
    f"recurrent-ppo {ON_CARTPOLE}",
    f"sac {ON_PENDULUM}",
    f"sac-discrete {ON_CARTPOLE}",
    f"td3 {ON_PENDULUM}",
]
COMPILED = "--agent.network.compile true"
pytestmark = [
    # torch's, of its own code while it traces or compiles
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not be"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compile up to kernels: traced, differentiated ahead of time, and run by torch's own.

    Making kernels takes a minute, and changes the last bits.

    Returns:
        Names of the networks that were compiled.
    """
    compile_, names = nn.Module.compile, []

    def compile_quickly(network: nn.Module, *, mode: Any) -> None:
        assert mode is None
        names.append(type(network).__name__)
        compile_(network, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", compile_quickly)
    return names


def require_close(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Every number of two checkpoints' agents, up to rounding."""
    names = [name for name in one if name.startswith("agent.")]
    assert names
    for name in names:
        if isinstance(one[name], tuple) and one[name][1] == "<f4":
            mine, theirs = (np.frombuffer(each[name][2], np.float32) for each in (one, other))
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("line", LINES)
def test_a_compiled_network_learns_the_same(line: str, lab: Any, traced: list[str]) -> None:
    plain = lab.state(lab.train(line))
    assert traced == []
    compiled = lab.state(lab.train(f"{line} {COMPILED}"))
    assert traced
    require_close(plain, compiled)


def test_it_is_resumed_to_the_bit(lab: Any, traced: list[str]) -> None:
    line = f"dqn cartpole {COMPILED} --launch.threads 1 --agent.exploration.epsilon 0.5"
    whole = lab.train(f"{line} --steps 320")
    resumed = lab.train(f"{line} --steps 160")
    assert lab(f"train --resume {resumed} --steps 320 --console plain").code == 0
    assert len(traced) == 6  # the online and the target network, three times
    one, other = lab.state(whole), lab.state(resumed)
    names = [name for name in one if name.startswith("agent.")]
    assert names
    for name in names:
        assert one[name] == other[name], name


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler is here")
def test_kernels_of_its_own_learn_the_same_up_to_rounding(lab: Any) -> None:
    line = f"dqn {ON_CARTPOLE} --steps 130"
    require_close(lab.state(lab.train(line)), lab.state(lab.train(f"{line} {COMPILED}")))
