"""One timed run of rlplug, as a process of its own: prints one JSON line."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.work import VARIANTS, WORK


def main(name: str, threads: str, device: str = "cpu", variant: str = "") -> None:
    """Train the named work and report steady-state steps per second."""
    started = time.perf_counter()
    import rlplug

    match = WORK[name].match
    quiet = {
        "device": device,
        "launch.threads": int(threads) if threads.isdigit() else threads,
        "evaluate.every_env_steps": match.env_steps,
        "evaluate.final_episodes": 1,
        "checkpoint.every_env_steps": match.env_steps,
        "checkpoint.save_replay": False,
        "tracking.console": "off",
    }
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            match.algorithm,
            match.environment,
            preset=None,
            steps=match.env_steps,
            run_dir=folder,
            **(match.ours | VARIANTS[variant] | quiet),
        )
        lines = (Path(result.run_dir) / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("updates")]
    first_row, last_row = rows[0], rows[-1]
    figures = {
        "steps_per_second": (last_row["env_steps"] - first_row["env_steps"])
        / (last_row["training_seconds"] - first_row["training_seconds"]),
        "wall_seconds": time.perf_counter() - started,
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "updates": last_row["updates"],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
