"""Evaluation beside training: own environments, own seeds, own generators, the newest weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.evaluate import EvaluationReport, evaluate
from rlplug.protocols import PolicyContext

if TYPE_CHECKING:
    from rlplug.envs.config import EnvConfig
    from rlplug.protocols import Agent, AgentContext, Policy
    from rlplug.resolve import Resolved
    from rlplug.seeding import Seeds


class InlineEvaluation:
    """Plays whole episodes in this process whenever it is called.

    The environments' seed follows from the step count alone, so that a resumed run plays the
    episodes that the unbroken one would have.
    """

    def __init__(
        self, resolved: Resolved, agent: Agent, context: AgentContext, seeds: Seeds
    ) -> None:
        self._resolved = resolved
        self._agent = agent
        self._context = context
        self._seeds = seeds
        self._adapter: StepAdapter | None = None

    def __call__(self, episodes: int, env_steps: int) -> EvaluationReport:
        """Evaluate the agent's weights as they are now."""
        config = self._resolved.config
        seeds = self._seeds.child(f"at-{env_steps}")
        adapter = self._environments()
        policy = self._policy(seeds, env_steps)
        return evaluate(
            policy,
            adapter,
            episodes=episodes,
            seed=seeds.integer("environments"),
            mode=config.evaluate.mode,
        )

    def _environments(self) -> StepAdapter:
        if self._adapter is None:
            spec, config = self._resolved.environment, self._resolved.config
            env_config, num_envs = cast("EnvConfig", config.env), config.evaluate.num_envs
            vector_env = make_vector(spec, env_config, num_envs, evaluation=True)
            self._adapter = StepAdapter(
                vector_env, name=spec.name, check=env_config.check, quiet=True
            )
        return self._adapter

    def _policy(self, seeds: Seeds, env_steps: int) -> Policy:
        num_envs, context = self._resolved.config.evaluate.num_envs, self._context
        policy = self._agent.policy(
            PolicyContext(
                context.observation_space,
                context.action_space,
                np.arange(num_envs),
                num_envs,
                context.total_env_steps,
                seeds,
                context.device,
            )
        )
        policy.set_progress(env_steps)
        return policy

    def close(self) -> None:
        """Release the environments; safe to call twice."""
        if self._adapter is not None:
            self._adapter.close()
            self._adapter = None
