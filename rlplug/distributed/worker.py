"""The process that acts: a policy, K environments and a `LocalCollector`, and nothing of learning.

It imports no optimizer, no replay and no Ray; Ray calls its methods one after the other.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch

from rlplug.collect.local import LocalCollector
from rlplug.distributed.faults import handing_over_faults
from rlplug.distributed.plan import resolve_here, versions
from rlplug.distributed.watchdog import Watchdog, WatchedAdapter
from rlplug.distributed.weights import unpack
from rlplug.envs.make import make_vector
from rlplug.protocols import PolicyContext
from rlplug.registry import discovery
from rlplug.registry.hooks import load_hooks
from rlplug.registry.hookspecs import WorkerStarted
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.data import Array, Rollout
    from rlplug.distributed.plan import Berth, WorkerPlan
    from rlplug.distributed.weights import PackedWeights
    from rlplug.envs.adapter import StepAdapter
    from rlplug.envs.config import EnvConfig
    from rlplug.protocols import Policy, State
    from rlplug.replay.config import ReplayConfig
    from rlplug.resolve import Resolved


class Prepared(NamedTuple):
    """What a worker says when it is ready."""

    pid: int
    host: str
    versions: dict[str, str]


class Order(NamedTuple):
    """What a worker is to collect."""

    num_env_steps: int
    """At least so many, in whole vector steps of its environments."""
    env_steps: int
    """Global count when it begins, for schedules."""
    weights_version: int


class Collected(NamedTuple):
    """What a worker has collected."""

    rollout: Rollout
    metrics: dict[str, float]
    """Of its policy."""
    seconds: float
    vector_steps: int


class Worker:
    """Acts in the environments `first_stream ... first_stream + num_envs` of a run.

    The first worker draws from the very generators that a run without workers has, so that a
    single one collects, bit for bit, what this process would. The others, and those that replace
    one, have generators of their own.
    """

    @handing_over_faults
    def prepare(self, plan: WorkerPlan, berth: Berth) -> Prepared:
        """Build the policy and the environments."""
        resolved = resolve_here(plan)
        launch = resolved.config.launch
        torch.set_num_threads(launch.threads if launch.threads != "auto" else 1)
        self._watchdog = Watchdog(launch.env_timeout_seconds, trace_file(plan.scratch, os.getpid()))
        adapter = _environments(resolved, berth, self._watchdog)
        seeds = Seeds(resolved.config.seed)
        streams = np.arange(berth.first_stream, berth.first_stream + berth.num_envs)
        context = PolicyContext(
            adapter.observation_space,
            adapter.action_space,
            streams,
            plan.num_streams,
            plan.total_env_steps,
            _own(seeds.child("policy"), berth),
        )
        build = discovery.import_string(resolved.algorithm.policy)
        self._policy: Policy = build(resolved.config.agent, context)
        self._collector = LocalCollector(
            adapter,
            self._policy,
            streams=streams,
            seeds=_own(seeds.child("collector"), berth),
            live_weights=False,
            priorities=_priorities(resolved, self._policy, adapter),
        )
        started = WorkerStarted(resolved.config, berth.place, tuple(streams.tolist()))
        load_hooks(resolved.config).worker_started(started)
        return Prepared(os.getpid(), platform.node(), versions(resolved))

    @handing_over_faults
    def collect(self, order: Order, weights: PackedWeights | None) -> Collected:
        """Act, with new weights where there are any."""
        began = time.perf_counter()
        collector = self._collector
        if weights is not None:
            collector.set_weights(lambda: unpack(weights), order.weights_version)
        collector.env_steps = order.env_steps
        with self._watchdog:
            (rollout,) = collector.collect(order.num_env_steps)
        seconds = time.perf_counter() - began
        return Collected(rollout, self._policy.metrics(), seconds, len(rollout.valid))

    @handing_over_faults
    def state(self) -> State:
        """Of the collector, for a checkpoint."""
        return self._collector.state_dict()

    @handing_over_faults
    def load(self, state: State) -> np.ndarray:
        """Continue from a checkpoint; answers with the streams that could not."""
        self._collector.load_state_dict(state)
        return self._collector.restarted

    @handing_over_faults
    def close(self) -> None:
        """Close the environments, before the process is ended."""
        if hasattr(self, "_watchdog"):
            self._watchdog.close()
        if hasattr(self, "_collector"):
            self._collector.close()

    @handing_over_faults
    def about(self) -> dict[str, Any]:
        """What this process holds: modules, and memory in bytes by proportional share."""
        lines = open("/proc/self/smaps_rollup").read().splitlines()  # noqa: PTH123,SIM115
        pss = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return {"modules": sorted(sys.modules), "pss": pss * 1024, "pid": os.getpid()}


def trace_file(scratch: str, pid: int) -> str:
    """Where a worker that hangs writes where it stands."""
    return f"{scratch}/hang-{pid}.txt"


def _own(seeds: Seeds, berth: Berth) -> Seeds:
    """Generators of one worker; those of the first are the run's own."""
    if berth.place:
        seeds = seeds.child(f"worker-{berth.place}")
    return seeds.child(f"restart-{berth.life}") if berth.life else seeds


def _priorities(
    resolved: Resolved, policy: Policy, adapter: StepAdapter
) -> Callable[[Rollout], Array] | None:
    """What gives the rows of a rollout their first priorities, where the policy does."""
    config = cast("ReplayConfig | None", resolved.config.replay)
    sampler = None if config is None else config.sampler
    if config is None or getattr(sampler, "new_priority", None) != "policy":
        return None
    from rlplug.replay.priorities import build_rollout_priorities  # most workers need no replay

    return build_rollout_priorities(
        config,
        policy,
        observation_space=adapter.observation_space,
        action_space=adapter.action_space,
        device="cpu",
    )


def _environments(resolved: Resolved, berth: Berth, watchdog: Watchdog) -> WatchedAdapter:
    spec, env_config = resolved.environment, cast("EnvConfig", resolved.config.env)
    vector_env = make_vector(spec, env_config, berth.num_envs)
    return WatchedAdapter(
        vector_env,
        watchdog,
        name=spec.name,
        check=env_config.check,
        quiet=bool(berth.place or berth.life),
    )
