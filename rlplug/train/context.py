"""What a trainer is given: the parts of one run, already built."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlplug.config import RunConfig
    from rlplug.distributed.engine import Engine
    from rlplug.protocols import Agent, Collector, Policy, Replay
    from rlplug.train.beside import EvaluationBeside
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
    evaluate: InlineEvaluation | EvaluationBeside
    """`evaluate(episodes, env_steps)` with the newest weights, on environments of its own."""

    engine: Engine | None = None
    """What runs other processes, where there are any."""

    def close(self) -> None:
        """Release all environments; safe to call twice."""
        with contextlib.ExitStack() as stack:  # the engine last, whatever the others raise
            if self.engine is not None:
                stack.callback(self.engine.close)
            stack.callback(self.collector.close)
            stack.callback(self.evaluate.close)
