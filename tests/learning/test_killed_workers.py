"""Runs whose workers are killed again and again learn what others learn."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

import rlplug
from rlplug.distributed.pool import WorkerPool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.learning,
    # Ray leaves sockets and files to the garbage collector when it starts and ends its processes
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("algorithm", "mode"), [("ppo", "sync"), ("appo", "async")])
def test_a_worker_killed_every_four_thousand_steps_costs_no_return(
    algorithm: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    take = WorkerPool.take

    def take_then_kill(pool: Any, place: Any) -> Any:
        answer = take(pool, place)
        steps = getattr(getattr(answer, "rollout", None), "env_steps", 0)
        if steps > 4_000 * (len(killed) + 1):
            killed.append(place.about.pid)
            os.kill(place.about.pid, signal.SIGKILL)
        return answer

    monkeypatch.setattr(WorkerPool, "take", take_then_kill)
    quiet = {"tracking.console": "off", "tracking.tensorboard": False}
    result = rlplug.train(
        algorithm,
        "cartpole",
        steps=40_000,
        seed=100,
        workers=2,
        mode=mode,
        run_dir=tmp_path,
        **quiet,
    )
    assert len(set(killed)) == 9
    assert result.env_steps == 40_000
    assert result.evaluation.mean_return >= 475
