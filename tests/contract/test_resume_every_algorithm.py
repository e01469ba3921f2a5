"""Every built-in algorithm that is stopped and goes on ends with the bits of one that was not.

It goes on in a process of its own: nothing but the run folder comes with it. The algorithms are
those of the registry, so that a new one is held to it by being registered. What else changes what a
run has to remember is added below: noise, windows, priorities, whole episodes, recurrent states,
normalisers, environments that take no state.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rlplug
import rlplug.changes
import rlplug.durable
from rlplug.checkpoint import differing_leaf, load_checkpoint, newest_checkpoint
from rlplug.collect.local import LocalCollector
from rlplug.errors import IncompatibleError, InterruptedRunError
from rlplug.registry import discovery
from rlplug.resolve import check, flatten, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Resume = Callable[[Path], list[float]]

STEPS, STOP = 240, 130
"""Of the run, and where it is stopped: within an episode, a window and a ring."""
TIMES = {"time", "steps_per_second", "training_seconds"}
"""What differs between two runs that are otherwise the same."""
SMALL = {
    "agent.batch_size": 8,
    "agent.num_minibatches": 2,
    "agent.num_epochs": 2,
    "replay.capacity": 100,
    "train.warmup_env_steps": 40,
    "train.collect_env_steps": 6,
    "train.updates_per_env_step": 0.25,
    "train.rollout_length": 10,
    "env.max_episode_steps": 25,
    "evaluate.every_env_steps": 100,
    "evaluate.episodes": 2,
    "evaluate.final_episodes": 2,
    "evaluate.num_envs": 2,
    "checkpoint.every_env_steps": 90,
    "tracking.report_every_env_steps": 30,
    "tracking.tensorboard": False,
    "tracking.console": "off",
    "launch.num_envs": 2,
    "launch.workers": 1,
}
"""Taken where an algorithm has a setting of that name."""
MORE = {
    "windows of a noisy prioritised rainbow": (
        "rainbow", "cartpole", {"replay.n_step": 5, "replay.sampler.uniform_mix": 0.1},
    ),
    "correlated noise": ("ddpg", "pendulum", {"agent.exploration": "ornstein-uhlenbeck"}),
    "normalisers": (
        "ppo", "pendulum", {"agent.normalize_observations": True, "agent.normalize_rewards": True},
    ),
    "one long episode": ("dqn", "cartpole", {"env.max_episode_steps": 500, "launch.num_envs": 1}),
}  # fmt: skip


RESUMER = """
import json, os, sys, traceback
import rlplug, rlplug.changes, rlplug.train.run
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.fsync = lambda _: None
for line in sys.stdin:
    run_dir, rlplug.changes.SMALLEST_BYTES, rlplug.changes.BLOCK_BYTES = json.loads(line)
    if os.fork() == 0:
        code = 1
        try:
            print(json.dumps(rlplug.resume(run_dir).evaluation.returns), file=answers, flush=True)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.wait()[1] != 0:
        print("null", file=answers, flush=True)
"""
"""Resumes each run in a fork of a process that has only imported: one import for all of them."""


def built_in() -> list[str]:
    return [
        name
        for name in discovery.names("algorithms")
        if discovery.provider("algorithms", name).distribution == "rlplug"
    ]


def environment_for(algorithm: str) -> str:
    for environment in ("cartpole", "pendulum", "cartpole-positions"):
        try:
            check(resolve(algorithm, environment, preset=None))
        except IncompatibleError:
            continue
        return environment
    raise AssertionError(f"no environment for {algorithm}")


def small(algorithm: str, environment: str, more: dict[str, Any]) -> dict[str, Any]:
    settings = resolve(algorithm, environment, preset=None, overrides=more).config.model_dump()
    names = dict(flatten(settings))
    found = {name: value for name, value in SMALL.items() if name in names}
    found |= {name: (12,) for name in names if name.endswith("hidden_sizes")}
    return found | more


def leaves_of(run_dir: Path) -> dict[str, Any]:
    newest = newest_checkpoint(run_dir)
    assert newest is not None
    state = load_checkpoint(newest).state
    storage = state.get("replay", {}).get("storage")
    if storage is not None and storage["columns"] is not None:
        places = storage["final"]  # where a final observation lies means nothing, its row does
        observation = storage["columns"]["final"]
        storage["columns"]["final"] = observation[places[places >= 0]]
        storage["final"] = places >= 0
    return without_times(state)


def without_times(state: Any) -> Any:
    if isinstance(state, dict):
        times = {"seconds", "training_seconds", "last_report"}
        return {name: without_times(part) for name, part in state.items() if name not in times}
    return state


def rows_of(run_dir: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here outlives a power cut, and a busy disk would take most of the time."""
    monkeypatch.setattr(rlplug.durable.os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def resume() -> Iterator[Resume]:
    """Go on with a run in a new process; returns what its final evaluation came to."""
    process = subprocess.Popen(
        [sys.executable, "-c", RESUMER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    orders, answers = process.stdin, process.stdout

    def call(run_dir: Path) -> list[float]:
        blocks = (rlplug.changes.SMALLEST_BYTES, rlplug.changes.BLOCK_BYTES)
        print(json.dumps([str(run_dir), *blocks]), file=orders, flush=True)
        returns: list[float] = json.loads(answers.readline())
        assert returns is not None, "the traceback is on standard error"
        return returns

    with process:
        yield call
        orders.close()


@pytest.fixture
def stop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run that comes to STOP is told to stop."""
    collect, stopped = LocalCollector.collect, []

    def collect_and_stop(self: LocalCollector, num_env_steps: int) -> Any:
        if self.env_steps >= STOP and not stopped:
            stopped.append(True)
            signal.raise_signal(signal.SIGINT)
        return collect(self, num_env_steps)

    monkeypatch.setattr(LocalCollector, "collect", collect_and_stop)


@pytest.mark.parametrize(
    ("algorithm", "environment", "more"),
    [
        *(pytest.param(name, None, {}, id=name) for name in built_in()),
        *(pytest.param(*case, id=name) for name, case in MORE.items()),
    ],
)
@pytest.mark.usefixtures("stop_once")
def test_stopped_and_resumed_it_is_the_run_that_was_not_stopped(
    tmp_path: Path,
    resume: Resume,
    algorithm: str,
    environment: str | None,
    more: dict[str, Any],
) -> None:
    assert_resumed_is_unbroken(
        tmp_path, resume, algorithm, environment or environment_for(algorithm), more
    )


@pytest.mark.parametrize(
    ("algorithm", "more"),
    [("per-dqn", {"replay.capacity": 400}), ("td3", {"replay.storage": "disk"})],
    ids=["in memory", "in a file"],
)
@pytest.mark.usefixtures("stop_once")
def test_a_replay_that_is_saved_by_blocks_comes_back_as_well(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resume: Resume,
    algorithm: str,
    more: dict[str, Any],
) -> None:
    monkeypatch.setattr(rlplug.changes, "SMALLEST_BYTES", 0)
    monkeypatch.setattr(rlplug.changes, "BLOCK_BYTES", 256)
    run_dir = assert_resumed_is_unbroken(
        tmp_path, resume, algorithm, environment_for(algorithm), more
    )
    newest = newest_checkpoint(run_dir)
    assert newest is not None
    segments = list(newest.glob("segment-*"))
    assert segments
    in_memory = "replay.capacity" in more  # the other ring is overwritten from save to save
    assert in_memory is any(
        file.stat().st_nlink > 1 for file in segments
    )  # an earlier checkpoint's


def assert_resumed_is_unbroken(
    tmp_path: Path, resume: Resume, algorithm: str, environment: str, more: dict[str, Any]
) -> Path:
    """Stop a run and resume it beside one that is not stopped; returns the folder of the first."""
    settings = small(algorithm, environment, more)

    def train(folder: str) -> Any:
        return rlplug.train(
            algorithm, environment, steps=STEPS, seed=5, device="cpu", preset=None,
            run_dir=tmp_path / folder, **settings,
        )  # fmt: skip

    with pytest.raises(InterruptedRunError):
        train("stopped")
    (record,) = (tmp_path / "stopped").rglob("run.json")
    at_the_stop = json.loads(record.read_text())["env_steps"]
    assert STOP <= at_the_stop < STEPS
    returns = resume(record.parent)
    unbroken = train("unbroken")

    assert differing_leaf(leaves_of(unbroken.run_dir), leaves_of(record.parent)) is None
    assert rows_of(record.parent) == rows_of(unbroken.run_dir)
    assert returns == unbroken.evaluation.returns
    updates = [row["updates"] for row in rows_of(unbroken.run_dir) if "updates" in row]
    assert 0 < updates[len(updates) // 2] < updates[-1]  # it learned before the stop and after it
    resumed: Path = record.parent
    return resumed


def test_what_is_compared_does_tell_two_runs_apart(tmp_path: Path) -> None:
    states = []
    for seed in (1, 2):
        settings = small("dqn", "cartpole", {})
        run = rlplug.train(
            "dqn", "cartpole", steps=100, seed=seed, preset=None, run_dir=tmp_path, **settings
        )
        states.append(leaves_of(run.run_dir))
    assert differing_leaf(*states) is not None
    assert differing_leaf({"a": np.zeros(2)}, {"a": np.zeros(2, np.float32)}) == "a"
