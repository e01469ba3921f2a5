"""Runs whose workers are killed again and again learn what others learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from worker_kills import kill_workers

import rlplug

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
    killed = kill_workers(monkeypatch, every=4_000)
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
