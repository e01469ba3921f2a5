"""What a run takes of its machine."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

import rlplug
from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.distributed.session import usable_cores
from rlplug.train import run
from rlplug.train.compute import compute_threads, keep_freed_memory, subnormals_as_zero

if TYPE_CHECKING:
    from pathlib import Path

    from rlplug.config import RunConfig
    from rlplug.protocols import Agent

FAULTS_OF_AN_UPDATE = """
import resource, sys
import numpy as np
from rlplug.train.compute import keep_freed_memory

def update():
    blocks = [np.ones(2 << 20, np.float32) for _ in range(8)]  # 8 MiB each, all touched

kept = keep_freed_memory()
for _ in range(3):
    update()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
update()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PRODUCTS_OF_SUBNORMALS = """
import numpy as np, torch, warnings
from rlplug.train.compute import start_threads, subnormals_as_zero

def shares_of_zeros():
    bits = torch.full((1 << 20,), 70_000, dtype=torch.int32)  # 1e-40 as float32
    bits = bits.view(torch.float32).mul_(1.0).view(torch.int32)
    return [(half == 0).double().mean().item() for half in bits.chunk(2)]

torch.set_num_threads(2)
start_threads()
print(*shares_of_zeros())
with subnormals_as_zero() as can:
    print(*shares_of_zeros())
    warnings.simplefilter("error")
    np.finfo(np.float32), np.finfo(np.float64)
    with subnormals_as_zero():
        pass
    print(*shares_of_zeros())
print(can)
torch.set_num_threads(1)
print(*shares_of_zeros())
"""
PAGES = 8 * 8 * 1024 // 4


@pytest.mark.parametrize(
    ("threads", "size", "expected"),
    [
        (3, 10, 3),
        ("auto", 10, 1),
        ("auto", 1_000_000, min(2, usable_cores())),
        ("auto", 5_000_000, usable_cores()),
    ],
)
def test_threads_follow_the_network_and_are_put_back(
    threads: int | str, size: int, expected: int
) -> None:
    before = torch.get_num_threads()
    launch, agent_config = SimpleNamespace(threads=threads), SimpleNamespace(batch_size=20)
    config: RunConfig = SimpleNamespace(launch=launch, agent=agent_config)  # type: ignore[assignment]
    agent: Agent = SimpleNamespace(policy_weights=lambda: {"w": torch.empty(size)})  # type: ignore[assignment]
    with compute_threads(config, agent) as chosen:
        assert chosen == torch.get_num_threads() == expected
    assert torch.get_num_threads() == before


def faults_of_an_update(**environment: str) -> tuple[bool, int]:
    """Whether freed memory was kept, and the pages that an update of 64 MiB asked for."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS_OF_AN_UPDATE],
        env=environment, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_freed_memory_is_there_for_the_next_update() -> None:
    kept, faults = faults_of_an_update()
    assert kept
    assert faults < PAGES // 100


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_what_the_user_sets_for_the_allocator_stands() -> None:
    kept, faults = faults_of_an_update(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept
    assert faults > PAGES // 10


def test_nothing_is_set_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_a_run_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[str] = []
    monkeypatch.setattr(run, "keep_freed_memory", lambda: calls.append("kept"))
    quiet = {"tracking.console": "off", "evaluate.final_episodes": 1}
    rlplug.train("dqn", "cartpole", steps=16, run_dir=tmp_path, **quiet)
    assert calls == ["kept"]


def is_zero() -> bool:
    return sys.float_info.min * 0.5 == 0


def test_learning_takes_subnormals_for_zero_on_all_threads_and_acting_on_none_but_torchs() -> None:
    command = [sys.executable, "-c", PRODUCTS_OF_SUBNORMALS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    outside, within, still, can, alone = done.stdout.splitlines()
    assert can == "True"
    assert within == still == "1.0 1.0"
    assert outside == "0.0 1.0"  # the second half is the other thread's, which keeps what it has
    assert alone == "0.0 0.0"


@pytest.mark.parametrize("algorithm", ["dqn", "ppo"])
def test_updates_take_subnormals_for_zero_and_environments_do_not(
    algorithm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, set[bool]] = {"update": set(), "step": set()}

    def watched(name: str, call: Any) -> Any:
        def watching(*arguments: Any) -> Any:
            seen[name].add(is_zero())
            return call(*arguments)

        return watching

    for owner, name in (
        (DqnAgent, "update"), (PpoAgent, "update"), (CartPoleEnv, "step"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    settings = {"dqn": {"train.warmup_env_steps": 8}, "ppo": {"train.rollout_length": 8}}
    rlplug.train(
        algorithm,
        "cartpole",
        steps=64,
        run_dir=tmp_path,
        preset=None,
        **{"tracking.console": "off", "launch.num_envs": 1, "evaluate.final_episodes": 1},
        **settings[algorithm],
    )
    assert seen == {"update": {True}, "step": {False}}
    assert not is_zero()


def test_what_fails_puts_back_what_it_found() -> None:
    @subnormals_as_zero()
    def fail() -> None:
        raise RuntimeError(f"zero: {is_zero()}")

    with pytest.raises(RuntimeError, match="zero: True"):
        fail()
    assert not is_zero()
