"""Kill a run with SIGKILL again and again, and see that it ends as if nothing had happened.

    python tests/kill_storm.py [--kills 50] [--seed 0]

Each process is killed at a random moment: between two saves, or inside one, at a random one of its
calls that write, force to the disk, rename, link or remove. Then another resumes. Processes are
forks of one that has imported everything, so that fifty of them take a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import rlplug
import rlplug.changes
from rlplug.checkpoint import checkpoints, differing_leaf, load_checkpoint, newest_checkpoint

SETTINGS: dict[str, Any] = {
    "agent.network.hidden_sizes": (16,),
    "agent.batch_size": 16,
    "replay.capacity": 700,
    "train.warmup_env_steps": 100,
    "train.collect_env_steps": 8,
    "train.updates_per_env_step": 0.125,
    "evaluate.every_env_steps": 400,
    "evaluate.episodes": 2,
    "evaluate.final_episodes": 2,
    "evaluate.num_envs": 2,
    "checkpoint.every_env_steps": 50,
    "tracking.tensorboard": False,
    "tracking.console": "off",
}
TIMES = {"time", "steps_per_second", "training_seconds"}
"""What differs between two runs that are otherwise the same."""
CALLS = ("open", "fsync", "rename", "link", "mkdir", "rmdir", "unlink", "truncate", "write")


def train(folder: Path, steps: int) -> None:
    """Begin the run, or go on with it."""
    found = [path.parent for path in folder.rglob("run.json") if has_checkpoint(path.parent)]
    if found:
        rlplug.resume(found[0])
    else:
        rlplug.train("per-dqn", "cartpole", steps=steps, seed=3, run_dir=folder, **SETTINGS)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether there is anything to resume."""
    return bool(checkpoints(run_dir / "checkpoints"))


def in_a_fork(work: Any) -> int:
    """Run `work` in a process of its own; its wait status.

    Forcing bytes to the disk is left out: it guards against power cuts, which a kill is not.
    """
    child = os.fork()
    if child == 0:
        code = 1
        os.fsync = lambda _: None
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1]


def doomed(folder: Path, steps: int, dice: random.Random) -> None:
    """Train, until SIGKILL: at a random call inside a save, or after a random time."""
    if dice.random() < 0.6:
        kill_at_call(dice.randrange(1, 80))
    else:
        seconds = dice.uniform(0.05, 1.5)
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    train(folder, steps)


def kill_at_call(number: int) -> None:
    """Die at the n-th call that changes files, before or after it has happened."""
    left = [number]

    def wrapped(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name))


def storm(folder: Path, *, kills: int, steps: int, seed: int) -> tuple[int, int]:
    """Kill the run so often, then let it end; (kills, of them while a checkpoint was written).

    Raises:
        AssertionError: if it does not end as the run without kills does.
    """
    dice = random.Random(seed)
    assert in_a_fork(lambda: train(folder / "unbroken", steps)) == 0
    killed = inside = 0
    while killed < kills:
        broken = folder / "broken"
        status = in_a_fork(partial(doomed, broken, steps, random.Random(dice.random())))
        assert status in {0, signal.SIGKILL}, status
        if status == 0:
            break
        killed += 1
        inside += any(broken.rglob("checkpoints/.step-*"))
    if status != 0:
        assert in_a_fork(lambda: train(folder / "broken", steps)) == 0
    compare(folder / "unbroken", folder / "broken")
    return killed, inside


def compare(unbroken: Path, broken: Path) -> None:
    """Both have come to the same end and logged the same, and no rest of a save is left."""
    ends, logs = [], []
    for folder in (unbroken, broken):
        run_dir = next(
            path.parent for path in folder.rglob("run.json") if has_checkpoint(path.parent)
        )
        newest = newest_checkpoint(run_dir)
        assert newest is not None
        state = load_checkpoint(newest).state
        ends.append({part: state[part] for part in ("policy_weights", "agent", "trainer")})
        logs.append(logged(run_dir))
        assert not list(run_dir.rglob("checkpoints/.step-*"))
    leaf = differing_leaf(*ends)
    assert leaf is None, f"{leaf} differs"
    assert len(logs[0]) > 1
    assert logs[0] == logs[1], "metrics.jsonl differs"


def logged(run_dir: Path) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, without how long they took."""
    rows = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def main() -> None:
    """The long version: fifty kills over one run."""
    parser = argparse.ArgumentParser(prog="python tests/kill_storm.py", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    by_blocks()
    steps = options.steps or 200 * options.kills
    with tempfile.TemporaryDirectory() as folder:
        killed, inside = storm(Path(folder), kills=options.kills, steps=steps, seed=options.seed)
    print(f"{killed} kills, {inside} of them while a checkpoint was written: the same end")


def by_blocks() -> None:
    """Save this small replay as a large one is saved."""
    rlplug.changes.SMALLEST_BYTES = 0
    rlplug.changes.BLOCK_BYTES = 1024


if __name__ == "__main__":
    main()
