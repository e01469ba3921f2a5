"""Collectors over workers of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from worker_world import InlineEngine

from rlplug.distributed.plan import plan_of
from rlplug.distributed.start import start_workers
from rlplug.protocols import AgentContext
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.train.build import total_env_steps

if TYPE_CHECKING:
    from collections.abc import Iterator


class Crew(NamedTuple):
    """A collector and what is around it."""

    collector: Any
    engine: InlineEngine
    agent: Any

    @property
    def pool(self) -> Any:
        return self.collector._pool


@pytest.fixture
def crew() -> Iterator[Any]:
    """Build one: `crew(workers=2, algorithm="dqn", **settings)`; all are closed at the end."""
    built: list[Crew] = []
    engines: list[InlineEngine] = []

    def make(
        workers: int = 1,
        algorithm: str = "dqn",
        environment: Any = "cartpole",
        seed: int = 0,
        mode: str = "sync",
        **settings: Any,
    ) -> Crew:
        small = {"agent.network.hidden_sizes": [8]} | settings
        resolved = resolve(
            algorithm,
            environment,
            preset=None,
            overrides=small,
            workers=workers,
            launcher="ray",
            mode=mode,
            seed=seed,
            device="cpu",
        )
        engine, total = InlineEngine(), total_env_steps(resolved.config)
        engines.append(engine)
        plan = plan_of(resolved, total_env_steps=total, scratch=engine.scratch)
        collector = start_workers(engine, resolved, plan)
        spaces = _spaces(resolved)
        agent = discovery.import_string(resolved.algorithm.agent)(
            resolved.config.agent, AgentContext(*spaces, total, Seeds(seed).child("agent"), "cpu")
        )
        collector.set_weights(agent.policy_weights, 0)
        built.append(Crew(collector, engine, agent))
        return built[-1]

    yield make
    for one in built:
        one.collector.close()
        one.collector.close()
    for engine in engines:
        engine.close()


def _spaces(resolved: Any) -> Any:
    from rlplug.envs.make import make_env

    env = make_env(resolved.environment, resolved.config.env)
    env.close()
    return env.observation_space, env.action_space
