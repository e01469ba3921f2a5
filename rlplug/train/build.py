"""Building the parts of a run from its resolved config, each with generators of its own."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from rlplug.collect.local import LocalCollector
from rlplug.distributed.start import start_collector
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.protocols import AgentContext, PolicyContext
from rlplug.registry import discovery
from rlplug.replay.priorities import build_rollout_priorities
from rlplug.replay.transitions import build_replay
from rlplug.seeding import Seeds
from rlplug.train.context import RunContext
from rlplug.train.evaluation import InlineEvaluation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rlplug.config import RunConfig
    from rlplug.envs.config import EnvConfig
    from rlplug.protocols import Agent, Collector, Policy
    from rlplug.replay.config import ReplayConfig
    from rlplug.replay.priorities import RolloutPriorities
    from rlplug.resolve import Resolved

SMALL_NETWORK = 1_000_000
"""Parameters below which one thread is faster than several (measured for MLPs on 2 cores)."""


def total_env_steps(config: RunConfig) -> int:
    """Length of the run; every trainer's config has `steps`."""
    return int(config.train.steps)  # type: ignore[attr-defined]


def build(resolved: Resolved, folder: Path) -> RunContext:
    """Build environments, agent, policy, collector and replay.

    Raises:
        PluginError: something that the specs name cannot be imported.
        EnvironmentFaultError: an environment cannot be made.
    """
    config, spec = resolved.config, resolved.environment
    env_config = cast("EnvConfig", config.env)
    seeds, total = Seeds(config.seed), total_env_steps(config)
    device, num_envs = choose_device(config.device), config.launch.total_envs
    is_local = config.launch.launcher != "ray"
    adapter = StepAdapter(
        make_vector(spec, env_config, num_envs if is_local else 1),
        name=spec.name,
        check=env_config.check,
    )
    spaces = (adapter.observation_space, adapter.action_space)
    context = AgentContext(*spaces, total, seeds.child("agent"), device)
    agent = discovery.import_string(resolved.algorithm.agent)(config.agent, context)
    replay = None
    if config.replay is not None:
        replay = build_replay(
            cast("ReplayConfig", config.replay),
            observation_space=spaces[0],
            action_space=spaces[1],
            num_streams=num_envs,
            total_env_steps=total,
            seeds=seeds.child("replay"),
            device=device,
            directory=folder / "replay",
        )
    policy: Policy | None = None
    collector: Collector
    if is_local:
        streams = np.arange(num_envs)
        policy = agent.policy(
            PolicyContext(*spaces, streams, num_envs, total, seeds.child("policy"), device)
        )
        collector = LocalCollector(
            adapter,
            policy,
            streams=streams,
            seeds=seeds.child("collector"),
            priorities=_priorities(config, policy, spaces, device),
        )
    else:
        adapter.close()  # it only showed its spaces
        collector = start_collector(resolved, total_env_steps=total)
        collector.set_weights(agent.policy_weights, 0)
    return RunContext(
        config=config,
        agent=agent,
        policy=policy,
        collector=collector,
        replay=replay,
        evaluate=InlineEvaluation(resolved, agent, context, seeds.child("evaluation")),
    )


def _priorities(
    config: RunConfig, policy: Policy, spaces: tuple[Any, Any], device: str
) -> RolloutPriorities | None:
    """What gives the rows of a rollout their first priorities, where the policy does."""
    if config.replay is None:
        return None
    return build_rollout_priorities(
        cast("ReplayConfig", config.replay),
        policy,
        observation_space=spaces[0],
        action_space=spaces[1],
        device=device,
    )


def choose_device(device: str) -> str:
    """`auto` is cuda where torch finds one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def compute_threads(config: RunConfig, agent: Agent) -> Iterator[int]:
    """Compute with the configured number of threads, and put the process's own back."""
    before, threads = torch.get_num_threads(), config.launch.threads
    if threads == "auto":
        size = sum(_numel(tensor) for tensor in agent.policy_weights().values())
        threads = 1 if size < SMALL_NETWORK else os.cpu_count() or 1
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def _numel(tensor: Any) -> int:
    """Elements of a weight, whatever framework it comes from."""
    return int(np.prod(tensor.shape))
