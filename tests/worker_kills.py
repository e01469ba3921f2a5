"""SIGKILL for workers of a run, at steps that a test chooses."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from rlplug.distributed.pool import WorkerPool

if TYPE_CHECKING:
    import pytest


def kill_workers(
    monkeypatch: pytest.MonkeyPatch, *, every: int, most: int | None = None
) -> list[int]:
    """End the worker that answers, once in so many steps; returns the list of ended processes."""
    killed: list[int] = []
    take = WorkerPool.take

    def take_then_kill(pool: Any, place: Any) -> Any:
        answer = take(pool, place)
        steps = getattr(getattr(answer, "rollout", None), "env_steps", 0)
        if steps > every * (len(killed) + 1) and (most is None or len(killed) < most):
            killed.append(place.about.pid)
            os.kill(place.about.pid, signal.SIGKILL)
        return answer

    monkeypatch.setattr(WorkerPool, "take", take_then_kill)
    return killed
