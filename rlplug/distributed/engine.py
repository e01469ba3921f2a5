"""The few things that are asked of Ray: start a worker, call it, wait, fetch, end it."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING, Any, Protocol

from rlplug.distributed.faults import WorkerLostError
from rlplug.distributed.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlplug.distributed.session import RaySession


class Engine(Protocol):
    """Runs `Worker`s somewhere else. A worker's calls are run in order, one at a time."""

    scratch: str
    """Folder of this machine that lasts as long."""

    def start(self, kind: type = Worker) -> Any:
        """Begin to start a worker; returns what the other methods know it by."""
        ...

    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Ask for a method to be run; returns at once, with what the answer is known by."""
        ...

    def put(self, value: Any) -> Any:
        """Hand a value over once, for many calls."""
        ...

    def wait(self, refs: Sequence[Any], count: int, timeout: float) -> list[Any]:
        """Those of `refs` that have an answer, once `count` have or the time is over."""
        ...

    def get(self, ref: Any) -> Any:
        """An answer that is there.

        Raises:
            WorkerLostError: the worker ended before it answered.
        """
        ...

    def kill(self, worker: Any) -> None:
        """End a worker at once, whatever it does."""
        ...

    def close(self) -> None:
        """Leave nothing behind; safe to call twice."""
        ...


class RayEngine:
    """Satisfies `Engine` with Ray's actors."""

    def __init__(self, session: RaySession) -> None:
        import ray

        self._ray = ray
        self._folder = tempfile.TemporaryDirectory(prefix="rlplug-workers-")
        self.scratch = self._folder.name
        self._session = session
        self._cpus = session.cpus_per_worker()

    def start(self, kind: type = Worker) -> Any:
        """Begin to start a worker."""
        # What ends is replaced by us, where it can be named and counted, and not by Ray. Who plays
        # evaluations has no core of its own: it would take a worker's.
        cpus = self._cpus if kind is Worker else 0
        actor: Any = self._ray.remote(kind)
        return actor.options(num_cpus=cpus, max_restarts=0, max_task_retries=0).remote()

    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Ask for a method to be run."""
        return getattr(worker, method).remote(*arguments)

    def put(self, value: Any) -> Any:
        """Hand a value over once."""
        return self._ray.put(value)

    def wait(self, refs: Sequence[Any], count: int, timeout: float) -> list[Any]:
        """Those that have an answer."""
        if not refs:
            return []
        done, _ = self._ray.wait(list(refs), num_returns=count, timeout=timeout)
        found: list[Any] = done
        return found

    def get(self, ref: Any) -> Any:
        """An answer that is there."""
        try:
            return self._ray.get(ref, timeout=60)
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(_cause(error)) from error

    def kill(self, worker: Any) -> None:
        """End a worker at once."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker)

    def close(self) -> None:
        """End Ray where this run started it."""
        self._session.close()
        self._folder.cleanup()


_CAUSES = {
    "low on memory": "Ray ended it, because its node runs low on memory",
    "is temporarily unavailable": "its process or its node has gone",
    "died because its node": "its node left the cluster",
    "exit type: SYSTEM_ERROR": "its process was killed",
    "Worker unexpectedly exits": "its process was killed",
}
"""What Ray says of an actor's end, and what that means; the first that it says counts."""


def _cause(error: Exception) -> str:
    """What Ray tells of an actor's end, in one line."""
    text = " ".join(str(error).split())
    for words, meaning in _CAUSES.items():
        if words.lower() in text.lower():
            return meaning
    return text[:300] or type(error).__name__
