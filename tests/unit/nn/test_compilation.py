"""Which networks are compiled, for which device, and when their graphs may be overwritten."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from actor_critic_world import agent_context, make_batch
from torch import nn

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.td3.agent import Td3Agent
from rlplug.algorithms.td3.config import Td3Config
from rlplug.errors import ConfigError
from rlplug.nn.compilation import Compiled


class _Weight:
    """Of a network on a GPU."""

    device = torch.device("cuda")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled, with which mode."""
    asked: list[Any] = []
    monkeypatch.setattr(
        nn.Module,
        "compile",
        lambda each, *, mode, dynamic, isolate_recompiles: asked.append(
            (each, mode, dynamic, isolate_recompiles)
        ),
    )
    return asked


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mark for each step whose outputs were let go."""
    made: list[str] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: made.append("step"))
    return made


def test_without_networks_there_is_nothing_to_compile_or_to_mark(marks: Any) -> None:
    nothing = Compiled([])
    nothing.begin_update()
    assert not nothing.has_graphs
    assert marks == []


def test_on_a_cpu_each_network_is_compiled_without_graphs(compiled: Any, marks: Any) -> None:
    networks = [nn.Linear(2, 2), nn.Sequential(nn.Conv2d(1, 1, 1))]
    Compiled(networks).begin_update()
    assert compiled == [(networks[0], None, None, True), (networks[1], None, False, True)]
    assert marks == []


def test_on_a_gpu_graphs_are_captured_and_let_go_once_an_update(
    compiled: Any, marks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(2, 2)
    monkeypatch.setattr(network, "parameters", lambda: iter([_Weight()]))
    updates = Compiled([network])
    assert updates.has_graphs
    assert compiled == [(network, "reduce-overhead", None, True)]
    assert marks == []
    updates.begin_update()
    updates.begin_update()
    assert marks == ["step", "step"]


def test_without_a_compiler_it_says_what_to_install() -> None:
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": ("a-compiler-that-is-not-there",)}),
        pytest.raises(ConfigError, match=r"needs a C\+\+ compiler .* Install one \(g\+\+\)"),
    ):
        Compiled([nn.Linear(2, 2)])


@pytest.fixture
def as_if_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are believed to be there, and nothing is compiled."""
    monkeypatch.setattr(nn.Module, "compile", lambda *_, **__: None)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: None)
    monkeypatch.setattr(Compiled, "__init__", lambda each, _: setattr(each, "has_graphs", True))


@pytest.mark.usefixtures("as_if_on_a_gpu")
def test_a_norm_does_not_need_a_gradient_that_a_graph_has_overwritten() -> None:
    space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    config = Td3Config.model_validate({"network": {"hidden_sizes": [8], "compile": True}})
    agent = Td3Agent(config, agent_context(space))
    for seed in range(config.actor_update_every_updates):
        agent.update(make_batch(space, seed))
    norm = agent.metrics()["actor_gradient_norm"]
    assert norm > 0
    for parameter in agent.actor_optimizer._gradients():
        parameter.zero_()
    assert agent.metrics()["actor_gradient_norm"] == norm


@pytest.mark.usefixtures("as_if_on_a_gpu")
def test_noisy_layers_and_graphs_are_refused() -> None:
    network = {"network": {"noisy": {"kind": "factorised"}, "compile": True}}
    with pytest.raises(ConfigError, match=r"noisy layers .* Leave one of the two out"):
        DqnAgent(DqnConfig.model_validate(network), agent_context(gymnasium.spaces.Discrete(2)))
