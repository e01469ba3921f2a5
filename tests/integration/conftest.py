"""The command line in an empty folder, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch

from rlplug.checkpoint import load_checkpoint, newest_checkpoint
from rlplug.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = {"time", "steps_per_second", "training_seconds"}
"""What differs between two runs that are otherwise the same."""
SMALL = (
    "--preset none --agent.network.hidden_sizes [16] --agent.batch_size 16 "
    "--train.warmup_env_steps 100 "
    "--train.collect_env_steps 16 --train.updates_per_env_step 0.125 --evaluate.num_envs 2 "
    "--evaluate.episodes 2 --evaluate.final_episodes 4 --tracking.tensorboard false"
)
"""Settings with which a thousand steps take a fraction of a second."""
SMALL_ON_POLICY = (
    "--preset none --agent.network.hidden_sizes [8] --agent.batch_size 16 --agent.epochs 2 "
    "--train.rollout_length 8 --evaluate.num_envs 2 --evaluate.episodes 2 "
    "--evaluate.final_episodes 4 --tracking.tensorboard false"
)
"""The same for agents that learn from rollouts."""


class Outcome(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str


class Lab:
    """Runs command lines in a folder of its own, and reads what they leave there."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def __call__(self, line: str, *more: str) -> Outcome:
        """Run `rlplug LINE MORE...` in this process."""
        self._capture.readouterr()
        code = run([*line.split(), *more])
        return Outcome(code, *self._capture.readouterr())

    def train(self, line: str, *more: str) -> Path:
        """Run `rlplug train LINE` with small settings, which the line may override."""
        known = set(self.runs())
        outcome = self(f"train {_small(line)} --console plain {line}", *more)
        assert outcome.code == 0, outcome.err
        (new,) = set(self.runs()) - known
        return new

    def fail(self, line: str, *more: str) -> tuple[Outcome, Path]:
        """As `train`, for a run that does not come to its end."""
        known = set(self.runs())
        outcome = self(f"train {SMALL} --console plain {line}", *more)
        assert outcome.code != 0, outcome.out
        (new,) = set(self.runs()) - known
        return outcome, new

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start `rlplug train LINE` in a process of its own, as `train` does in this one."""
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "rlplug",
                *f"train {_small(line)} --console plain {line}".split(),
            ],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def runs(self) -> list[Path]:
        """Every run folder."""
        return sorted(
            file.parent.relative_to(self.folder) for file in self.folder.rglob("run.json")
        )

    def record(self, run_dir: Path) -> dict[str, Any]:
        """`run.json`."""
        record: dict[str, Any] = json.loads((self.folder / run_dir / "run.json").read_text())
        return record

    def rows(self, run_dir: Path) -> list[dict[str, Any]]:
        """`metrics.jsonl`, without what differs from run to run."""
        lines = (self.folder / run_dir / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]

    def checkpoint_steps(self, run_dir: Path) -> list[int]:
        """Environment steps of each checkpoint."""
        folders = (self.folder / run_dir / "checkpoints").iterdir()
        return sorted(int(folder.name.removeprefix("step-")[:9]) for folder in folders)

    def state(self, run_dir: Path) -> dict[str, Any]:
        """Every leaf of the newest checkpoint by its dotted name, as bytes or as it is."""
        newest = newest_checkpoint(self.folder / run_dir)
        assert newest is not None
        state = load_checkpoint(newest).state
        _order_finals(state)
        leaves = dict(_leaves(state))
        return {name: leaf for name, leaf in leaves.items() if "seconds" not in name}


def _small(line: str) -> str:
    return SMALL_ON_POLICY if line.split(maxsplit=1)[0].endswith("ppo") else SMALL


def _order_finals(state: dict[str, Any]) -> None:
    """Put final observations in the order of their rows: where else they lie means nothing."""
    storage = state.get("replay", {}).get("storage")
    if storage is not None and storage["columns"] is not None:
        column, places = storage["columns"], storage["final"]
        column["final"] = column["final"][places[places >= 0]]
        storage["final"] = places >= 0


def _leaves(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(state, dict):
        for key, part in state.items():
            yield from _leaves(part, f"{name}.{key}".lstrip("."))
    elif isinstance(state, list | tuple) and name != "supervisor.last_report":
        for index, part in enumerate(state):
            yield from _leaves(part, f"{name}.{index}")
    elif isinstance(state, torch.Tensor | np.ndarray):
        array = np.asarray(state)
        yield name, (array.shape, array.dtype.str, array.tobytes())
    elif name != "supervisor.last_report":
        yield name, state


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    """An empty folder to run command lines in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    return Lab(tmp_path, capsys)
