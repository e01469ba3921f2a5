"""What a trainer is given: the parts of one run, already built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlplug.config import RunConfig
    from rlplug.protocols import Agent, Collector, Policy, Replay
    from rlplug.train.evaluation import InlineEvaluation


@dataclass(frozen=True)
class RunContext:
    """The parts of one run. A trainer drives them and owns none of them."""

    config: RunConfig
    agent: Agent
    policy: Policy | None
    """Acts in the collector, with the agent's own weights; None where workers act."""
    collector: Collector
    replay: Replay | None
    """None for a loop that learns from rollouts."""
    evaluate: InlineEvaluation
    """`evaluate(episodes, env_steps)` with the newest weights, on environments of its own."""

    def close(self) -> None:
        """Release all environments; safe to call twice."""
        self.collector.close()
        self.evaluate.close()
