"""A plugin that is installed by name, from a folder of wheels, into a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = (
    "--preset zoo --replay.capacity 500 --steps 320 --train.warmup_env_steps 256 "
    "--env.max_episode_steps 20 --evaluate.episodes 1 --evaluate.final_episodes 1 "
    "--evaluate.num_envs 1 --tracking.tensorboard false --console plain"
)


def do(*command: str | Path, cwd: Path) -> str:
    """Run a command, away from this repository's modules."""
    variables = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=variables | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_atari_is_installed_by_name_and_trains(tmp_path: Path) -> None:
    pytest.importorskip("ale_py", reason="the simulator of rlplug-atari is not installed")
    wheels = tmp_path / "wheels"
    for package in (ROOT, ROOT / "plugins" / "rlplug-atari"):
        do(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=package)
    do(sys.executable, "-m", "venv", tmp_path / "fresh", cwd=tmp_path)
    python = tmp_path / "fresh" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(do(python, "-c", code, cwd=tmp_path).strip())
    # what the two need is lent, after the environment's own packages; nothing is fetched
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ("--no-index", "--find-links", wheels, "--no-deps", "--ignore-installed")
    do(python, "-m", "pip", "install", *options, "rlplug-atari", "rlplug", cwd=tmp_path)
    where = "import rlplug, rlplug_atari; print(rlplug.__file__, rlplug_atari.__file__)"
    assert all(file.startswith(str(site)) for file in do(python, "-c", where, cwd=tmp_path).split())
    rlplug = tmp_path / "fresh" / "bin" / "rlplug"
    assert "atari/pong" in do(rlplug, "list", "environments", "pong", cwd=tmp_path)
    do(rlplug, "train", "dqn", "pong", *SMALL.split(), cwd=tmp_path)
    report: dict[str, Any] = json.loads(
        do(rlplug, "eval", "last", "--episodes", "1", "--json", cwd=tmp_path)
    )
    assert report["episodes"] == 1
    assert report["lengths"] == [20]
