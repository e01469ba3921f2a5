"""Which launcher, and how many workers: what a run asks for, or what a measurement says.

An estimate of the time of one vector step of all N environments, from a step measured here:

    local:      N environments one after the other, and one forward pass
    W workers:  N / W of them, but no faster than the cores can; and the call, shared by its steps
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from rlplug.distributed.session import usable_cores
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector

if TYPE_CHECKING:
    from rlplug.config import LaunchConfig
    from rlplug.envs.config import EnvConfig
    from rlplug.resolve import Resolved

MEASURE_SECONDS = 0.3
_ACT_SECONDS = 2e-5
"""A forward pass of a small policy; docs/results/workers.md."""
_CALL_SECONDS = 1.5e-3
"""One round of calls to a worker..."""
_CALL_SECONDS_PER_WORKER = 1.2e-3
"""...and what each more of them adds, both from the same page."""
_CLEARLY = 0.8
"""Ray has to take less than this share of the local time: it also costs memory and a start."""
_WORKERS_PER_CORE = 8
"""At most, where environments wait and need no core."""


class StepCost(NamedTuple):
    """Of one environment, in seconds."""

    wall: float
    cpu: float


def settle(resolved: Resolved) -> tuple[Resolved, str]:
    """Put launcher and workers in place of what was left open; what resumes keeps them.

    Returns:
        The run, and a line that says what was chosen and why; empty where nothing was measured.
    """
    launch = resolved.config.launch
    if launch.is_settled:
        return resolved, ""
    needs_ray = launch.mode == "async" or launch.cluster != "none"
    if launch.launcher is None and launch.workers != "auto":
        launcher = "ray" if needs_ray or launch.workers > 1 else "local"
        return _with(resolved, launcher, launch.workers), ""
    cost = measure(resolved)
    workers = launch.num_workers
    if launch.workers == "auto":
        workers = _best_workers(resolved, cost)
    here, there = _local_seconds(launch, cost), _ray_seconds(resolved, cost, workers)
    pays = launch.launcher == "ray" or needs_ray or there < _CLEARLY * here
    total = launch.model_copy(update={"workers": workers}).total_envs
    line = (
        f"{'ray' if pays else 'local'} launcher: a step of {resolved.config.environment} takes "
        f"{_time(cost.wall)}, so about {launch.total_envs / here:,.0f} steps/s in this process and "
        f"{total / there:,.0f} with {workers} worker{'s' * (workers > 1)}"
    )
    if not pays and launch.workers == "auto":
        workers = 1
    return _with(resolved, "ray" if pays else "local", workers), line


def measure(resolved: Resolved) -> StepCost:
    """Step one environment at random for a moment."""
    spec, env_config = resolved.environment, cast("EnvConfig", resolved.config.env)
    adapter = StepAdapter(
        make_vector(spec, env_config, 1), name=spec.name, check=env_config.check, quiet=True
    )
    space = adapter.vector_action_space
    space.seed(0)
    try:
        adapter.reset(0)
        adapter.step(space.sample())  # the first one also warms up
        steps, began, began_cpu = 0, time.perf_counter(), time.process_time()
        while (wall := time.perf_counter() - began) < MEASURE_SECONDS:
            adapter.step(space.sample())
            steps += 1
        return StepCost(wall / steps, (time.process_time() - began_cpu) / steps)
    finally:
        adapter.close()


def _with(resolved: Resolved, launcher: str, workers: int) -> Resolved:
    config = resolved.config
    launch = config.launch.model_copy(update={"launcher": launcher, "workers": workers})
    return replace(resolved, config=config.model_copy(update={"launch": launch}))


def _local_seconds(launch: LaunchConfig, cost: StepCost) -> float:
    return launch.total_envs * cost.wall + _ACT_SECONDS


def _ray_seconds(resolved: Resolved, cost: StepCost, workers: int) -> float:
    """Of one vector step of all environments."""
    num_envs = max(resolved.config.launch.total_envs, workers)
    of_each = math.ceil(num_envs / workers)
    alone = of_each * cost.wall + _ACT_SECONDS
    on_cores = (num_envs * cost.cpu + workers * _ACT_SECONDS) / usable_cores()
    call = _CALL_SECONDS + workers * _CALL_SECONDS_PER_WORKER
    return max(alone, on_cores) + call / _vector_steps_per_call(resolved, num_envs)


def _vector_steps_per_call(resolved: Resolved, num_envs: int) -> int:
    train = resolved.config.train
    if rollout_length := getattr(train, "rollout_length", None):
        return int(rollout_length)
    return math.ceil(getattr(train, "collect_env_steps", num_envs) / num_envs)


def _best_workers(resolved: Resolved, cost: StepCost) -> int:
    """The number that collects fastest; the fewest of those that are about as fast."""
    launch, cores = resolved.config.launch, usable_cores()
    most = _WORKERS_PER_CORE * cores
    if launch.envs_per_worker is None:
        most = min(most, max(launch.num_envs, cores))
    rates = {}
    for workers in range(1, most + 1):
        num_envs = workers * (launch.envs_per_worker or 0) or max(launch.num_envs, workers)
        rates[workers] = num_envs / _ray_seconds(resolved, cost, workers)
    best = max(rates.values())
    return min(workers for workers, rate in rates.items() if rate > 0.95 * best)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.0f} µs"
