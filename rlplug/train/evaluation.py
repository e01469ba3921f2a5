"""Evaluation beside training: own environments, own seeds, own generators, the newest weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.evaluate import EvaluationReport, evaluate
from rlplug.protocols import PolicyContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.envs.config import EnvConfig
    from rlplug.protocols import AgentContext, Policy
    from rlplug.resolve import Resolved
    from rlplug.seeding import Seeds


class MakesPolicies(Protocol):
    """An agent, or what stands for it where nothing learns."""

    def policy(self, context: PolicyContext) -> Policy:
        """One with the weights to evaluate."""
        ...


class EvaluationBrokenOffError(Exception):
    """A signal came while episodes were played."""


class _Interruptible:
    """A policy that acts until it is told to stop."""

    def __init__(self, policy: Policy, is_interrupted: Callable[[], bool]) -> None:
        self._policy = policy
        self._is_interrupted = is_interrupted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def act(self, *arguments: Any, **named: Any) -> Any:
        """As the policy acts, unless it is time to stop."""
        if self._is_interrupted():
            raise EvaluationBrokenOffError
        return self._policy.act(*arguments, **named)


class InlineEvaluation:
    """Plays whole episodes in this process whenever it is called.

    The environments' seed follows from the step count alone, so that a resumed run plays the
    episodes that the unbroken one would have.
    """

    is_beside = False
    """Whether training goes on while episodes are played."""

    def __init__(
        self,
        resolved: Resolved,
        agent: MakesPolicies,
        context: AgentContext,
        seeds: Seeds,
        *,
        adapter: Callable[..., StepAdapter] = StepAdapter,
    ) -> None:
        self._resolved = resolved
        self._agent = agent
        self._context = context
        self._seeds = seeds
        self._adapter = adapter
        self._adapters: dict[str, StepAdapter] = {}  # by evaluation set
        self.is_interrupted: Callable[[], bool] = lambda: False
        """Asked before each action; true breaks the evaluation off."""

    def __call__(self, episodes: int, env_steps: int) -> EvaluationReport:
        """Evaluate the agent's weights as they are now: `episodes` of each evaluation set.

        Raises:
            EvaluationBrokenOffError: `is_interrupted` said so. Played again, it is the same.
        """
        config, spec = self._resolved.config, self._resolved.environment
        seeds = self._seeds.child(f"at-{env_steps}")
        score_range = spec.score_range(config.env.model_dump())
        reports = {}
        for name in spec.set_names:
            report = evaluate(
                cast("Policy", _Interruptible(self._policy(seeds, env_steps), self.is_interrupted)),
                self._environments(name),
                episodes=episodes,
                seed=seeds.integer("environments"),
                mode=config.evaluate.mode,
            )
            reports[name] = replace(report, score_range=score_range)
        return EvaluationReport.of_sets(reports)

    def _environments(self, evaluation_set: str) -> StepAdapter:
        if evaluation_set not in self._adapters:
            spec, config = self._resolved.environment, self._resolved.config
            env_config, num_envs = cast("EnvConfig", config.env), config.evaluate.num_envs
            vector_env = make_vector(spec, env_config, num_envs, evaluation=evaluation_set)
            self._adapters[evaluation_set] = self._adapter(
                vector_env, name=spec.name, check=env_config.check, quiet=True
            )
        return self._adapters[evaluation_set]

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
        for adapter in self._adapters.values():
            adapter.close()
        self._adapters.clear()
