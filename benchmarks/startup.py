"""Start-up: wall time of commands that import nothing heavy, and of a whole training process.

Each is timed as installed, and beside the twenty plugins of `tests/crowd.py`: one raises when it is
imported, one imports torch, one takes half a minute. An empty Python process and the import of a
peer stand beside them: how fast the machine was.

    python -m benchmarks.startup [--runs 20] [--trainings 3] [--write docs/results/start-up.md]

The first run of each warms the file cache and the plugin index, and is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers import python_of, versions_of

ROOT = Path(__file__).parents[1]
RLPLUG = str(Path(sys.executable).with_name("rlplug"))
NOTHING = [sys.executable, "-c", "pass"]
PEER = "sb3"
STEPS = 20_480
TRAINING = [RLPLUG, "train", "dqn", "cartpole", "--steps", str(STEPS), "--console", "off"]
COMMANDS = {
    "rlplug --help": [RLPLUG, "--help"],
    "rlplug list": [RLPLUG, "list"],
    "rlplug info dqn": [RLPLUG, "info", "dqn"],
    "rlplug train dqn cartpole --dry-run": [RLPLUG, "train", "dqn", "cartpole", "--dry-run"],
}


def crowd(folder: Path) -> dict[str, str]:
    """Variables of processes that see twenty more plugins, which are written to `folder`."""
    sys.path.append(str(ROOT / "tests"))
    from crowd import install
    from fake_site import FakeSite

    site = FakeSite(folder / "site")
    install(site)
    return {"PYTHONPATH": str(site.folder), "XDG_CACHE_HOME": str(folder / "cache")}


def milliseconds(command: list[str], variables: dict[str, str], limit: float = 120) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run(
        command, check=True, env=os.environ | variables, capture_output=True, timeout=limit
    )
    return 1_000 * (time.perf_counter() - started)


def training(runs: int) -> list[str]:
    """Rows: seconds of whole processes that train DQN on CartPole, ours and the peer's in turn."""
    theirs = [python_of(PEER), "-m", "benchmarks.sb3", "W1", "default"]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    turns = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            ours = milliseconds([*TRAINING, "--run-dir", folder], {}, 900) / 1_000
        turns.append((ours, milliseconds(theirs, paths, 900) / 1_000))
    ratios = [ours / peer for ours, peer in turns]
    mine, peers = (statistics.median(each) for each in zip(*turns, strict=True))
    return [
        f"A whole process that trains DQN on CartPole for {STEPS:,} steps, ours by `rlplug train "
        f"dqn cartpole --steps {STEPS}` with its preset, files and final evaluation included, and "
        f"the peer's ({versions_of(PEER, 'stable-baselines3', 'torch')}) with W1's settings "
        "([speed](speed.md)), in turn:",
        "",
        "| ours, s (median) | the peer's, s (median) | ratio | range |",
        "|---|---|---|---|",
        f"| {mine:.1f} | {peers:.1f} | **{statistics.median(ratios):.2f}** | "
        f"{min(ratios):.2f}-{max(ratios):.2f} |",
        "",
    ]


def main() -> None:
    """Time each command in turn, round after round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--trainings", type=int, default=3)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        twenty = crowd(Path(folder))
        timed: dict[str, tuple[list[str], dict[str, str]]] = {
            "`python -c pass`": (NOTHING, {}),
            "`import stable_baselines3`": (
                [python_of(PEER), "-c", "import stable_baselines3"], {},
            ),
        }  # fmt: skip
        for name, command in COMMANDS.items():
            timed[f"`{name}`"] = (command, {})
            timed[f"`{name}`, twenty more plugins"] = (command, twenty)
        times: dict[str, list[float]] = {name: [] for name in timed}
        for number in range(options.runs + 1):
            for name, (command, variables) in timed.items():
                elapsed = milliseconds(command, variables)
                if number:
                    times[name].append(elapsed)
    lines = [
        "# Start-up",
        "",
        f"Made by `python -m benchmarks.startup --runs {options.runs} --trainings "
        f"{options.trainings}`, the commands in turn.",
        "The plugins are those of `tests/crowd.py`, most of them broken.",
        "",
        "| command | fastest, ms | median, ms |",
        "|---|---|---|",
        *(
            f"| {name} | {min(each):.0f} | {statistics.median(each):.0f} |"
            for name, each in times.items()
        ),
        "",
        *(training(options.trainings) if options.trainings else []),
    ]
    print("\n".join(lines))
    if options.write:
        options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
