"""Steps per second of MuJoCo tasks: Gymnasium's two vector environments, and ours around them.

    python -m benchmarks.mujoco_vectors [--tasks halfcheetah,ant] [--envs 8,32] [--process-time]
        [--write docs/results/stepping.md]

Needs the package in plugins/rlplug-mujoco. All take the same actions, in turn, round after round;
a figure is the median of its rounds, a ratio the median of the rounds' ratios. Process time leaves
out what neighbours take of a busy machine, and what a second process does: for `sync` alone.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.registry import discovery

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = "inverted-pendulum,halfcheetah,hopper,ant,pusher,humanoid"


def bare(gymnasium_id: str, num_envs: int, kind: str) -> Any:
    """Gymnasium's own vector environment."""
    make = functools.partial(gymnasium.make, gymnasium_id, disable_env_checker=True)
    options = {"copy": False, "autoreset_mode": AutoresetMode.SAME_STEP}
    if kind == "sync":
        return SyncVectorEnv([make] * num_envs, **options)
    return AsyncVectorEnv([make] * num_envs, context="forkserver", **options)


def ours(name: str, num_envs: int, kind: str) -> StepAdapter:
    """The same through the plugin and the step adapter."""
    spec = discovery.resolve_environment(name)
    if spec is None:
        msg = f"There is no environment '{name}': pip install ./plugins/rlplug-mujoco"
        raise SystemExit(msg)
    config = discovery.import_string(spec.config)(vectorize=kind)
    return StepAdapter(make_vector(spec, config, num_envs), name=name)


def rate(env: Any, actions: Any, seconds: float, clock: Callable[[], float]) -> float:
    """Environment steps per second over about so many seconds."""
    began, steps = clock(), 0
    while clock() - began < seconds:
        for action in actions:
            env.step(action)
        steps += actions.shape[0] * actions.shape[1]
    return steps / (clock() - began)


def measure(name: str, num_envs: int, options: argparse.Namespace) -> str:
    """One row."""
    spec = discovery.resolve_environment(name)
    assert spec is not None
    kinds = ("sync",) if options.process_time else ("sync", "async")
    clock = time.process_time if options.process_time else time.perf_counter
    envs = {}
    for kind in kinds:
        envs[f"bare {kind}"] = bare(spec.aliases[0], num_envs, kind)
        envs[f"ours {kind}"] = ours(name, num_envs, kind)
    space = envs["ours sync"].action_space
    shape = (10, num_envs, *space.shape)
    actions = np.random.default_rng(0).uniform(space.low, space.high, shape).astype(space.dtype)
    rates: dict[str, list[float]] = {key: [] for key in envs}
    for env in envs.values():
        env.reset(seed=0)
        env.step(actions[0])
    for _ in range(options.rounds):
        for key, env in envs.items():
            rates[key].append(rate(env, actions, options.seconds, clock))
    for env in envs.values():
        env.close()
    figures = [f"{statistics.median(rates[key]):,.0f}" for key in envs]
    pairs = [(f"ours {kind}", f"bare {kind}") for kind in kinds]
    pairs += [("bare async", "bare sync")] if "async" in kinds else []
    ratios = [
        statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))
        for one, other in pairs
    ]
    return f"| {name} | {num_envs} | {' | '.join(figures)} | " + (
        " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"
    )


def main() -> None:
    """Parse, measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mujoco_vectors")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--envs", default="8,32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--process-time", action="store_true")
    parser.add_argument("--write", type=Path, help="append the table to this file")
    options = parser.parse_args()
    columns = ["bare sync", "ours sync"]
    ratios = ["ours / bare, sync"]
    if not options.process_time:
        columns += ["bare async", "ours async"]
        ratios += ["ours / bare, async", "async / sync"]
    clock = "processor time" if options.process_time else "wall time"
    packages = ("rlplug-mujoco", "mujoco", "gymnasium")
    lines = [
        f"### MuJoCo, {clock}",
        "",
        f"{', '.join(f'{name} {version(name)}' for name in packages)}; Python "
        f"{platform.python_version()}; {os.cpu_count()} cores; median of {options.rounds} rounds "
        f"of {options.seconds:g} s each.",
        "",
        f"| task | environments | {' | '.join([*columns, *ratios])} |",
        "|---" * (2 + len(columns) + len(ratios)) + "|",
    ]
    print("\n".join(lines))
    for name in options.tasks.split(","):
        for num_envs in map(int, options.envs.split(",")):
            lines.append(measure(name, num_envs, options))
            print(lines[-1], flush=True)
    if options.write:
        with options.write.open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, "", ""]))


if __name__ == "__main__":
    main()
