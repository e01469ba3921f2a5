"""Evaluation in a process of its own, while training goes on."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rlplug.distributed.faults import Fault, WorkerLostError, handing_over_faults
from rlplug.distributed.plan import resolve_here
from rlplug.distributed.watchdog import Watchdog, WatchedAdapter
from rlplug.distributed.weights import pack, unpack
from rlplug.distributed.worker import trace_file
from rlplug.envs.make import make_vector
from rlplug.errors import WorkerError
from rlplug.protocols import AgentContext
from rlplug.registry import discovery
from rlplug.seeding import Seeds
from rlplug.train.evaluation import InlineEvaluation

if TYPE_CHECKING:
    from rlplug.data import Weights
    from rlplug.distributed.engine import Engine
    from rlplug.distributed.plan import WorkerPlan
    from rlplug.distributed.weights import PackedWeights
    from rlplug.envs.config import EnvConfig
    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import Agent, Policy, PolicyContext
    from rlplug.resolve import Resolved

_log = logging.getLogger(__name__)

MOST_WAITING = 2
"""Evaluations under way; a third waits, so that weights do not pile up."""
MOST_RESTARTS = 3
LOOK_EVERY_SECONDS = 1.0


class Evaluator:
    """The process that plays: it builds a policy and environments, by their names."""

    @handing_over_faults
    def prepare(self, plan: WorkerPlan) -> int:
        """Build what is needed; answers with the process's id."""
        import torch

        torch.set_num_threads(1)
        resolved = resolve_here(plan)
        limit = resolved.config.launch.env_timeout_seconds
        self._watchdog = Watchdog(limit, trace_file(plan.scratch, os.getpid()))
        context = AgentContext(
            *_spaces(resolved), plan.total_env_steps, Seeds(resolved.config.seed).child("agent")
        )
        self._actor = _NewestPolicy(resolved)
        self._evaluation = InlineEvaluation(
            resolved,
            self._actor,
            context,
            Seeds(resolved.config.seed).child("evaluation"),
            adapter=partial(WatchedAdapter, watchdog=self._watchdog),
        )
        return os.getpid()

    @handing_over_faults
    def evaluate(self, episodes: int, env_steps: int, weights: PackedWeights) -> EvaluationReport:
        """Play whole episodes, those that the training process would play at this step."""
        self._actor.weights = unpack(weights)
        with self._watchdog:
            return self._evaluation(episodes, env_steps)

    @handing_over_faults
    def close(self) -> None:
        """Close the environments, before the process is ended."""
        if hasattr(self, "_evaluation"):
            self._evaluation.close()
            self._watchdog.close()


class _NewestPolicy:
    """Builds policies as an agent does, from the weights that were sent last."""

    def __init__(self, resolved: Resolved) -> None:
        self.weights: Weights = {}
        self._build = discovery.import_string(resolved.algorithm.policy)
        self._config = resolved.config.agent

    def policy(self, context: PolicyContext) -> Policy:
        """One with the newest weights."""
        policy: Policy = self._build(self._config, context)
        policy.set_weights(self.weights)
        return policy


class Evaluated(NamedTuple):
    """What came of an evaluation."""

    env_steps: int
    updates: int
    report: EvaluationReport


class _Asked(NamedTuple):
    """An evaluation that has not ended."""

    ref: Any
    weights: Any
    episodes: int
    env_steps: int
    updates: int


class EvaluationBeside:
    """Has an `Evaluator` play, in the order in which it is asked, and hands over what is ready.

    An evaluator that ends is replaced, and plays again what it had not ended.
    """

    is_beside = True

    def __init__(self, engine: Engine, plan: WorkerPlan, agent: Agent) -> None:
        self._engine = engine
        self._plan = engine.put(plan)
        self._limits = plan.settings["launch"]
        self._agent = agent
        self._asked: list[_Asked] = []
        self._restarts = 0
        self._worker: Any = None
        self._prepared: Any = None
        self._since = 0.0
        """When the evaluator was started, or its last answer was awaited."""
        self._told_after = 0.0

    def begin(self, episodes: int, env_steps: int, updates: int) -> None:
        """Evaluate the agent's weights as they are now; `finished` has what comes of it."""
        if self._worker is None:
            self._start()
        weights = self._engine.put(pack(self._agent.policy_weights()))
        asked = _Asked(None, weights, episodes, env_steps, updates)
        self._asked.append(self._sent(asked))

    def finished(self, *, wait: bool = False) -> list[Evaluated]:
        """Evaluations that have ended since the last call, in the order of their steps.

        Args:
            wait: For all; else only while more than `MOST_WAITING` are under way.

        Raises:
            EnvironmentFaultError: an environment raised.
            WorkerError: the evaluator ended again and again, or did not start.
        """
        done = []
        while self._asked:
            must_wait = wait or len(self._asked) > MOST_WAITING
            first = self._asked[0]
            timeout = LOOK_EVERY_SECONDS if must_wait else 0.0
            if self._engine.wait([first.ref], 1, timeout):
                if (report := self._answer(first.ref)) is not None:
                    self._asked.pop(0)
                    done.append(Evaluated(first.env_steps, first.updates, report))
                self._answered_at(time.monotonic())
            elif not must_wait:
                break
            else:
                self._tell_of_a_long_wait(first, time.monotonic() - self._since)
        return done

    def _answered_at(self, moment: float) -> None:
        self._since, self._told_after = moment, self._limits["env_timeout_seconds"]

    def _tell_of_a_long_wait(self, asked: _Asked, waited: float) -> None:
        """What hangs ends its process; what only takes long is told, again and again.

        Raises:
            WorkerError: the evaluator is not there in time.
        """
        limit = self._limits["start_timeout_seconds"]
        if waited > limit and not self._engine.wait([self._prepared], 1, 0.0):
            msg = (
                f"The process that evaluates was not ready after {limit:g} seconds "
                "(launch.start_timeout_seconds). Wait longer, or use --evaluate.where inline."
            )
            raise WorkerError(msg)
        if waited > self._told_after:
            self._told_after *= 2
            _log.warning(
                "The evaluation at %s environment steps has taken %.0f s so far; it is waited for.",
                *(f"{asked.env_steps:,}", waited),
            )

    def __call__(self, episodes: int, env_steps: int) -> EvaluationReport:
        """Evaluate the weights as they are now, and wait for it; all others have ended before."""
        self.begin(episodes, env_steps, 0)
        return self.finished(wait=True)[-1].report

    def _start(self) -> None:
        self._worker = self._engine.start(Evaluator)
        self._prepared = self._engine.call(self._worker, "prepare", self._plan)
        self._answered_at(time.monotonic())

    def _sent(self, asked: _Asked) -> _Asked:
        arguments = (asked.episodes, asked.env_steps, asked.weights)
        return asked._replace(ref=self._engine.call(self._worker, "evaluate", *arguments))

    def _answer(self, ref: Any) -> EvaluationReport | None:
        """None where the evaluator was lost, and all that it was asked is asked again."""
        try:
            prepared = self._engine.get(self._prepared)
            answer = prepared if isinstance(prepared, Fault) else self._engine.get(ref)
        except WorkerLostError as error:
            self._restart(str(error))
            return None
        if isinstance(answer, Fault):
            raise answer.as_error("Evaluation")
        report: EvaluationReport = answer
        return report

    def _restart(self, cause: str) -> None:
        self._engine.kill(self._worker)
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise WorkerError(f"The process that evaluates ended {self._restarts} times: {cause}.")
        _log.warning("The process that evaluates ended: %s. Another one begins again.", cause)
        self._start()
        self._asked = [self._sent(asked) for asked in self._asked]

    def close(self) -> None:
        """End the evaluator; safe to call twice."""
        if self._worker is not None:
            closing = self._engine.call(self._worker, "close")
            self._engine.wait([closing], 1, 0.0 if self._asked else LOOK_EVERY_SECONDS)
            self._engine.kill(self._worker)
            self._worker = None


def _spaces(resolved: Resolved) -> tuple[Any, Any]:
    config = cast("EnvConfig", resolved.config.env)
    vector_env = make_vector(resolved.environment, config, 1)
    try:
        return vector_env.single_observation_space, vector_env.single_action_space
    finally:
        vector_env.close()
