"""An engine that runs workers in this process, in an order that a test decides."""

from __future__ import annotations

import pickle
import tempfile
from collections import deque
from typing import TYPE_CHECKING, Any

from rlplug.distributed.faults import WorkerLostError
from rlplug.distributed.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Ref:
    """An answer, there or not."""

    def __init__(self, owner: InlineWorker | None, run: Callable[[], Any]) -> None:
        self.owner = owner
        self.run = run
        self.answer: bytes | None = None
        self.is_lost = False

    @property
    def is_there(self) -> bool:
        return self.is_lost or self.answer is not None


class InlineWorker:
    """A worker, and what it was asked for and did not do yet."""

    def __init__(self, number: int, kind: type) -> None:
        self.number = number
        self.worker = kind()
        self.waiting: deque[Ref] = deque()
        self.is_alive = True
        self.done: list[str] = []
        """Methods that it ran."""


class InlineEngine:
    """Satisfies `Engine`: what it hands over is pickled, as between processes.

    A worker runs when somebody waits for an answer: those of `first` before the others, which run
    in turns. `before_call` sees every call before it is run, and may `lose` the worker.
    """

    def __init__(self) -> None:
        self.workers: list[InlineWorker] = []
        self.first: list[int] = []
        self.frozen: set[int] = set()
        """Workers that never answer."""
        self.before_call: Callable[[InlineWorker, str], None] = lambda worker, method: None
        self.is_closed = False
        self.puts = 0
        self._folder = tempfile.TemporaryDirectory()
        self.scratch = self._folder.name

    def start(self, kind: type = Worker) -> InlineWorker:
        self.workers.append(InlineWorker(len(self.workers), kind))
        return self.workers[-1]

    def call(self, worker: InlineWorker, method: str, *arguments: Any) -> Ref:
        sent = pickle.dumps([each.answer if isinstance(each, Ref) else each for each in arguments])

        def run() -> Any:
            received = [
                pickle.loads(each) if isinstance(each, bytes) else each
                for each in pickle.loads(sent)
            ]
            self.before_call(worker, method)
            worker.done.append(method)
            return getattr(worker.worker, method)(*received)

        ref = Ref(worker, run)
        if worker.is_alive:
            worker.waiting.append(ref)
        else:
            ref.is_lost = True
        return ref

    def put(self, value: Any) -> Ref:
        self.puts += 1
        ref = Ref(None, lambda: value)
        ref.answer = pickle.dumps(value)
        return ref

    def wait(self, refs: Sequence[Ref], count: int, timeout: float) -> list[Ref]:
        while sum(ref.is_there for ref in refs) < min(count, len(refs)) and timeout > 0:
            busy = [w for w in self.workers if w.waiting and w.number not in self.frozen]
            if not busy:
                break
            favoured = [w for w in busy if w.number in self.first]
            self._run_one(min(favoured or busy, key=lambda w: len(w.done)))
        return [ref for ref in refs if ref.is_there]

    def _run_one(self, worker: InlineWorker) -> None:
        ref = worker.waiting.popleft()
        try:
            ref.answer = pickle.dumps(ref.run())
        except WorkerLostError:
            ref.is_lost = True

    def get(self, ref: Ref) -> Any:
        if ref.is_lost:
            raise WorkerLostError("its process was killed")
        assert ref.answer is not None
        return pickle.loads(ref.answer)

    def lose(self, worker: InlineWorker) -> None:
        """As SIGKILL in the middle of a call: call it from `before_call`."""
        self.kill(worker)
        raise WorkerLostError

    def kill(self, worker: InlineWorker) -> None:
        worker.is_alive = False
        worker.worker.close()
        for ref in worker.waiting:
            ref.is_lost = True
        worker.waiting.clear()

    def close(self) -> None:
        self.is_closed = True
        self._folder.cleanup()
