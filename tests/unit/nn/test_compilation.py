"""Which networks are compiled, for which device, and when their graphs may be overwritten."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from rlplug.errors import ConfigError
from rlplug.nn.compilation import Compiled


class _Weight:
    """Of a network on a GPU."""

    device = torch.device("cuda")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled, with which mode."""
    asked: list[Any] = []
    monkeypatch.setattr(nn.Module, "compile", lambda each, *, mode: asked.append((each, mode)))
    return asked


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mark for each step whose outputs were let go."""
    made: list[str] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: made.append("step"))
    return made


def test_on_a_cpu_each_network_is_compiled_without_graphs(compiled: Any, marks: Any) -> None:
    networks = [nn.Linear(2, 2), nn.Linear(2, 1)]
    Compiled(networks).begin_update()
    assert compiled == [(networks[0], None), (networks[1], None)]
    assert marks == []


def test_on_a_gpu_graphs_are_captured_and_let_go_once_an_update(
    compiled: Any, marks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(2, 2)
    monkeypatch.setattr(network, "parameters", lambda: iter([_Weight()]))
    updates = Compiled([network])
    assert compiled == [(network, "reduce-overhead")]
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
