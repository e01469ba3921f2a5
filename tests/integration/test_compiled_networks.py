"""Runs whose networks are compiled: the same results, and resumed to the bit."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.backends.registry import lookup_backend
from torch._dynamo.utils import counters

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.data import TransitionBatch
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    f"ape-x {ON_CARTPOLE}",
    f"appo {ON_CARTPOLE}",
]
COMPILED = "--agent.network.compile true"
pytestmark = [
    # torch's, of its own code while it traces or compiles
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not be"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]


@pytest.fixture(autouse=True)
def _nothing_falls_back() -> Iterator[None]:
    """A network that torch would stop compiling fails; the first is compiled anew."""
    torch.compiler.reset()
    counters.clear()
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield


class Traced(NamedTuple):
    """What was compiled while a test ran."""

    networks: list[str]
    """Their classes."""
    graphs: list[torch.fx.GraphModule]
    has_variable_sizes: list[bool]
    """Of each of them, whether it serves several shapes."""


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    """Compile up to kernels: traced, differentiated ahead of time, and run by torch's own.

    Making kernels takes a minute, and changes the last bits.
    """
    compile_, seen = nn.Module.compile, Traced([], [], [])

    def count(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        seen.graphs.append(graph)
        seen.has_variable_sizes.append(any(isinstance(each, torch.SymInt) for each in inputs))
        return lookup_backend("aot_eager")(graph, inputs)

    def compile_quickly(network: nn.Module, *, mode: Any, **how: Any) -> None:
        assert mode is None
        seen.networks.append(type(network).__name__)
        compile_(network, backend=count, **how)

    monkeypatch.setattr(nn.Module, "compile", compile_quickly)
    return seen


def require_close(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Every number of two checkpoints' agents, up to rounding."""
    names = [name for name in one if name.startswith("agent.") and isinstance(one[name], tuple)]
    names = [name for name in names if one[name][1] == "<f4"]
    assert len(names) > 4
    for name in names:
        mine, theirs = (np.frombuffer(each[name][2], np.float32) for each in (one, other))
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("line", LINES)
def test_a_compiled_network_learns_the_same(line: str, lab: Any, traced: Traced) -> None:
    plain = lab.state(lab.train(line))
    assert traced == ([], [], [])
    compiled = lab.state(lab.train(f"{line} {COMPILED}"))
    assert len(traced.graphs) >= len(traced.networks) > 0
    require_close(plain, compiled)


def test_it_is_resumed_to_the_bit(lab: Any, traced: Traced) -> None:
    line = f"dqn cartpole {COMPILED} --launch.threads 1 --agent.exploration.epsilon 0.5"
    whole = lab.train(f"{line} --steps 320")
    resumed = lab.train(f"{line} --steps 160")
    assert lab(f"train --resume {resumed} --steps 320 --console plain").code == 0
    assert len(traced.networks) == 6  # the online and the target network, three times
    one, other = lab.state(whole), lab.state(resumed)
    names = [name for name in one if name.startswith("agent.")]
    assert names
    for name in names:
        assert one[name] == other[name], name


def on_images(side: int, precision: str) -> tuple[DqnAgent, TransitionBatch]:
    """An agent whose networks are compiled, and 20 transitions."""
    space = gymnasium.spaces.Box(0, 255, (side, side, 1), np.uint8)
    network = {"encoder": "nature-cnn", "hidden_sizes": [8], "compile": True}
    config = DqnConfig.model_validate({"network": network | {"precision": precision}})
    actions = gymnasium.spaces.Discrete(2)
    agent = DqnAgent(config, AgentContext(space, actions, 1, Seeds(0)))
    images = torch.from_numpy(np.stack([space.sample() for _ in range(20)]))
    ones, rows = torch.ones(20), torch.arange(20)
    return agent, TransitionBatch(images, rows % 2, ones, ones, images, ones, rows)


def test_images_of_two_sizes_in_one_process_have_kernels_of_their_own(traced: Traced) -> None:
    for side in (36, 44):
        agent, batch = on_images(side, "float32")
        agent.update(batch)
    assert len(traced.has_variable_sizes) >= 4
    assert not any(traced.has_variable_sizes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_images_are_compiled_once_in_each_precision(precision: str, traced: Traced) -> None:
    agent, batch = on_images(36, precision)
    agent.update(batch)
    agent.update(batch)
    graphs = len(traced.graphs)
    losses = [float(agent.update(batch).metrics["loss"]) for _ in range(10)]
    assert len(traced.graphs) == graphs
    assert len(set(losses)) > 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler is here")
def test_kernels_of_its_own_learn_the_same_up_to_rounding(lab: Any) -> None:
    line = f"dqn {ON_CARTPOLE} --steps 130"
    plain = lab.state(lab.train(line))
    assert not counters["inductor"]
    compiled = lab.state(lab.train(f"{line} {COMPILED}"))
    assert counters["inductor"]
    assert counters["stats"]["unique_graphs"] >= 2  # the online and the target network
    require_close(plain, compiled)
