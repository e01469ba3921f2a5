"""Building the parts of a run from its resolved config, each with generators of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from rlplug.collect.local import LocalCollector
from rlplug.distributed.plan import plan_of
from rlplug.distributed.start import start_engine, start_workers
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.protocols import AgentContext, PolicyContext
from rlplug.registry import discovery
from rlplug.replay.priorities import build_rollout_priorities
from rlplug.replay.transitions import build_replay
from rlplug.seeding import Seeds
from rlplug.train.beside import EvaluationBeside
from rlplug.train.context import RunContext
from rlplug.train.evaluation import InlineEvaluation

if TYPE_CHECKING:
    from pathlib import Path

    from rlplug.config import RunConfig
    from rlplug.envs.config import EnvConfig
    from rlplug.protocols import Agent, Collector, Policy, Replay
    from rlplug.replay.config import ReplayConfig
    from rlplug.replay.priorities import RolloutPriorities
    from rlplug.resolve import Resolved


def total_env_steps(config: RunConfig) -> int:
    """Length of the run; every trainer's config has `steps`."""
    return int(config.train.steps)  # type: ignore[attr-defined]


def build(resolved: Resolved, folder: Path) -> RunContext:
    """Build environments, agent, policy, collector and replay.

    Raises:
        PluginError: something that the specs name cannot be imported.
        EnvironmentFaultError: an environment cannot be made.
        WorkerError: Ray or its workers cannot be started.
    """
    config = resolved.config
    seeds, total = Seeds(config.seed), total_env_steps(config)
    is_local = config.launch.launcher != "ray"
    with contextlib.ExitStack() as undo:
        adapter = _environments(resolved, config.launch.total_envs if is_local else 1)
        undo.callback(adapter.close)
        context = AgentContext(
            adapter.observation_space,
            adapter.action_space,
            total,
            seeds.child("agent"),
            choose_device(config.device),
        )
        agent = discovery.import_string(resolved.algorithm.agent)(config.agent, context)
        replay = _replay(config, context, folder, seeds)
        where = config.evaluate.where
        is_beside = where == "process" or (where == "auto" and not is_local)
        engine = None if is_local and not is_beside else start_engine(config.launch)
        evaluate: InlineEvaluation | EvaluationBeside = InlineEvaluation(
            resolved, agent, context, seeds.child("evaluation")
        )
        if engine is not None:
            undo.callback(engine.close)
            plan = plan_of(resolved, total_env_steps=total, scratch=engine.scratch)
            evaluate = EvaluationBeside(engine, plan, agent) if is_beside else evaluate
        policy: Policy | None = None
        collector: Collector
        if engine is None or is_local:
            policy, collector = _local(config, agent, adapter, context, seeds)
        else:
            adapter.close()  # it only showed its spaces
            collector = start_workers(engine, resolved, plan)
            collector.set_weights(agent.policy_weights, 0)
        undo.pop_all()
    return RunContext(config, agent, policy, collector, replay, evaluate, engine)


def _environments(resolved: Resolved, num_envs: int) -> StepAdapter:
    spec, env_config = resolved.environment, cast("EnvConfig", resolved.config.env)
    vector_env = make_vector(spec, env_config, num_envs)
    return StepAdapter(vector_env, name=spec.name, check=env_config.check)


def _replay(config: RunConfig, context: AgentContext, folder: Path, seeds: Seeds) -> Replay | None:
    if config.replay is None:
        return None
    return build_replay(
        cast("ReplayConfig", config.replay),
        observation_space=context.observation_space,
        action_space=context.action_space,
        num_streams=config.launch.total_envs,
        total_env_steps=context.total_env_steps,
        seeds=seeds.child("replay"),
        device=context.device,
        directory=folder / "replay",
    )


def _local(
    config: RunConfig, agent: Agent, adapter: StepAdapter, context: AgentContext, seeds: Seeds
) -> tuple[Policy, LocalCollector]:
    """A policy that shares the agent's weights, and a collector that acts with it here."""
    spaces, total = (context.observation_space, context.action_space), context.total_env_steps
    streams = np.arange(adapter.num_envs)
    policy = agent.policy(
        PolicyContext(*spaces, streams, len(streams), total, seeds.child("policy"), context.device)
    )
    collector = LocalCollector(
        adapter,
        policy,
        streams=streams,
        seeds=seeds.child("collector"),
        priorities=_priorities(config, policy, spaces, context.device),
    )
    return policy, collector


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
