"""What a trainer is given: the parts of one run, already built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.config import RunConfig
    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import Agent, Collector, Policy, Replay


@dataclass(frozen=True)
class RunContext:
    """The parts of one run. A trainer drives them and owns none of them."""

    config: RunConfig
    agent: Agent
    policy: Policy
    """Acts in the collector; shares the agent's weights when it is local."""
    collector: Collector
    replay: Replay | None
    """None for a loop that learns from rollouts."""
    evaluate: Callable[[int, int], EvaluationReport]
    """`evaluate(episodes, env_steps)` with the newest weights, on environments of its own."""
