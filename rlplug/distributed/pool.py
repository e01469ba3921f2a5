"""The workers of a run: started, watched, replaced, named."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.distributed.faults import Fault, RemoteTracebackError, WorkerLostError
from rlplug.distributed.plan import Berth, WorkerPlan, versions
from rlplug.distributed.worker import trace_file
from rlplug.errors import ConfigError, EnvironmentFaultError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rlplug.distributed.engine import Engine
    from rlplug.distributed.worker import Prepared
    from rlplug.resolve import Resolved

logger = logging.getLogger("rlplug.distributed")

LOOK_EVERY_SECONDS = 1.0
"""Between two looks at whether a wait has gone on for too long."""
CLOSE_SECONDS = 2.0
"""For idle workers to close their environments, before they are ended."""


class Call(NamedTuple):
    """A question that a worker has not answered yet."""

    ref: Any
    vector_steps: int
    """Steps of its environments that the answer takes; 0 for a question that takes none."""
    env_steps: int


@dataclass
class Place:
    """A share of the run's environments, and the worker that steps them now."""

    index: int
    first_stream: int
    num_envs: int
    life: int = 0
    """Workers that held this place before."""
    worker: Any = None
    calls: deque[Call] = field(default_factory=deque)
    """Not answered yet, in order."""
    oldest_since: float = 0.0
    """When the oldest of them began."""
    is_ready: bool = False
    is_fresh: bool = True
    """Nothing was collected by this worker yet."""
    weights_version: int = -1
    """Of the weights that it was last sent."""
    started_at: float = 0.0
    about: Prepared | None = None
    was_told_late: bool = False

    @property
    def name(self) -> str:
        """As a user reads it: `Worker 3 (pid 812)`."""
        if self.about is None:
            return f"Worker {self.index}"
        return f"Worker {self.index} (pid {self.about.pid} on {self.about.host})"


class WorkerPool:
    """Keeps a worker at every place, and says so when one had to be replaced.

    Args:
        engine: Runs them.
        resolved: The run.
        plan: What they are told.
    """

    def __init__(self, engine: Engine, resolved: Resolved, plan: WorkerPlan) -> None:
        self.restarts = 0
        """Workers replaced so far, over the whole run."""
        self.places: list[Place] = []
        self._engine = engine
        self._plan = plan
        self._plan_ref: Any = None
        self._launch = resolved.config.launch
        self._environment = resolved.config.environment
        self._versions = versions(resolved)
        first = 0
        for index, num_envs in enumerate(self._launch.envs_of_workers):
            self.places.append(Place(index, first, num_envs))
            first += num_envs

    @property
    def engine(self) -> Engine:
        """What runs them."""
        return self._engine

    @property
    def ready(self) -> list[Place]:
        """Places whose worker can be asked."""
        return [place for place in self.places if place.is_ready]

    def start(self) -> None:
        """Start a worker at every place, and wait for all.

        Raises:
            WorkerError: they are not there in time.
            RlplugError: one cannot be built as it is.
        """
        self._plan_ref = self._engine.put(self._plan)
        for place in self.places:
            self._begin(place)
        self._await_start(len(self.places))

    def admit(self) -> None:
        """Let in the workers that have become ready; wait for one where there is none."""
        starting = [place for place in self.places if not place.is_ready]
        if starting:
            self._look_at(starting, timeout=0.0)
            if not self.ready:
                for place in starting:  # what was there before has just been lost
                    place.started_at = max(place.started_at, time.monotonic() - 1.0)
                self._await_start(1)

    def _await_start(self, count: int) -> None:
        limit = self._launch.start_timeout_seconds
        while len(self.ready) < count:
            starting = [place for place in self.places if not place.is_ready]
            self._look_at(starting, LOOK_EVERY_SECONDS)
            since = min((place.started_at for place in starting), default=0.0)
            if len(self.ready) < count and time.monotonic() - since > limit:
                msg = (
                    f"{len(self.ready)} of {len(self.places)} workers were ready after "
                    f"{limit:g} seconds (launch.start_timeout_seconds). Is the cluster full, or "
                    "the environment slow to build? Use fewer workers, or wait longer."
                )
                raise WorkerError(msg)

    def _look_at(self, starting: Sequence[Place], timeout: float) -> None:
        refs = [place.calls[0].ref for place in starting]
        done = set(self._engine.wait(refs, len(refs), timeout))
        for place, ref in zip(starting, refs, strict=True):
            if ref in done and (prepared := self.take(place)) is not None:
                place.about, place.is_ready = prepared, True
                self._require_same_versions(place, prepared)

    def _require_same_versions(self, place: Place, prepared: Prepared) -> None:
        differing = [
            f"{name} {prepared.versions.get(name, 'none')} there and {ours} here"
            for name, ours in self._versions.items()
            if prepared.versions.get(name) != ours
        ]
        if differing:
            msg = (
                f"The node {prepared.host}, on which worker {place.index} runs, has other versions "
                f"than this process: {'; '.join(differing)}. Install the same on all nodes."
            )
            raise ConfigError(msg)

    def ask(self, place: Place, method: str, *arguments: Any, steps: tuple[int, int]) -> None:
        """Ask a worker; `take` has the answer.

        Args:
            place: Whose worker.
            method: Of `Worker`.
            arguments: What it gets.
            steps: (vector steps, environment steps) that the answer takes.
        """
        if not place.calls:
            place.oldest_since = time.monotonic()
        ref = self._engine.call(place.worker, method, *arguments)
        place.calls.append(Call(ref, *steps))

    def answered(self, places: Iterable[Place], timeout: float) -> list[Place]:
        """Places whose oldest question is answered; in time, or none.

        A worker that needs longer than its environments may is ended, and so answered for.
        """
        by_ref = {place.calls[0].ref: place for place in places if place.calls}
        if not by_ref:
            return []
        done = self._engine.wait(list(by_ref), 1, timeout)
        if len(done) == 1 and len(by_ref) > 1:
            done = self._engine.wait(list(by_ref), len(by_ref), 0.0)
        if not done:
            for place in by_ref.values():
                self._end_if_late(place)
        return [by_ref[ref] for ref in done]

    def _end_if_late(self, place: Place) -> None:
        """The last resort where the worker's own watchdog cannot act, as in a frozen process."""
        waited = time.monotonic() - place.oldest_since
        limit = self._launch.env_timeout_seconds
        if waited > limit and not place.was_told_late:
            place.was_told_late = True
            logger.warning(
                "%s has not answered for %.0f s; it was asked for %d steps of its environments.",
                *(place.name, waited, place.calls[0].vector_steps),
            )
        if waited > 2.0 * limit + limit * place.calls[0].vector_steps:
            self._engine.kill(place.worker)

    def take(self, place: Place) -> Any | None:
        """The answer to a worker's oldest question; None where it was lost, and is replaced.

        Raises:
            EnvironmentFaultError: an environment failed more often than is allowed.
            WorkerError: workers were lost more often than is allowed.
            RlplugError: what a new worker would do again.
        """
        call = place.calls.popleft()
        place.oldest_since = time.monotonic()
        place.was_told_late = False
        try:
            answer = self._engine.get(call.ref)
        except WorkerLostError as error:
            self._replace(place, *self._how_it_ended(place, str(error)))
            return None
        if not isinstance(answer, Fault):
            return answer
        is_first = place.life == 0 and not place.is_ready
        if is_first or not answer.is_of_environment:
            raise answer.as_error(place.name)
        self._replace(place, answer.message, answer.trace, is_of_environment=True)
        return None

    def _how_it_ended(self, place: Place, cause: str) -> tuple[str, str, bool]:
        """Cause, where it stood, and whether the environment is to blame."""
        trace = ""
        if place.about is not None:
            file = Path(trace_file(self._plan.scratch, place.about.pid))
            with contextlib.suppress(OSError):
                trace = file.read_text()
                file.unlink()
        if not trace:
            return f"ended: {cause}", "", False
        limit = self._launch.env_timeout_seconds
        hung = f"environment {self._environment!r} did not come back from a step in {limit:g} s"
        return f"{hung} (launch.env_timeout_seconds)", trace, True

    def _replace(
        self, place: Place, cause: str, trace: str, is_of_environment: bool = False
    ) -> None:
        """Start another worker at this place, in a new life.

        Raises:
            EnvironmentFaultError: that was one too many, because of an environment.
            WorkerError: that was one too many.
        """
        name = place.name
        self._engine.kill(place.worker)
        place.calls.clear()
        place.is_ready = False
        self.restarts += 1
        allowed = self._launch.max_restarts
        if self.restarts > allowed:
            msg = (
                f"{name}: {cause}. It was not replaced: {allowed} workers were before "
                "(launch.max_restarts)."
            )
            error = EnvironmentFaultError(msg) if is_of_environment else WorkerError(msg)
            error.is_resumable = True
            raise error from (RemoteTracebackError(trace) if trace else None)
        logger.warning(
            "%s: %s. It is replaced (%d of at most %d); its unfinished episodes are not counted.%s",
            *(name, cause.rstrip("."), self.restarts, allowed, f"\n{trace}" if trace else ""),
        )
        place.life += 1
        place.is_fresh = True
        self._begin(place)

    def _begin(self, place: Place) -> None:
        place.worker = self._engine.start()
        place.started_at = time.monotonic()
        place.weights_version, place.about = -1, None
        berth = Berth(place.index, place.first_stream, place.num_envs, place.life)
        self.ask(place, "prepare", self._plan_ref, berth, steps=(0, 0))

    def close(self) -> None:
        """End all workers; safe to call twice."""
        idle = [place for place in self.ready if not place.calls and place.worker is not None]
        closing = [self._engine.call(place.worker, "close") for place in idle]
        self._engine.wait(closing, len(closing), CLOSE_SECONDS)
        for place in self.places:
            if place.worker is not None:
                self._engine.kill(place.worker)
                place.worker = None
