"""One timed run of rlplug, as a process of its own: prints one JSON line."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.work import WORK


def main(name: str, threads: str) -> None:
    """Train the named work and report steady-state steps per second."""
    started = time.perf_counter()
    import rlplug

    work = WORK[name]
    first, *rest = work.hidden_sizes
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            "dqn",
            "cartpole",
            preset=None,
            run_dir=folder,
            **{
                "agent.batch_size": work.batch_size,
                "agent.optimizer.learning_rate": work.learning_rate,
                "agent.optimizer.max_gradient_norm": 10.0,
                "agent.target_update_every_updates": work.target_update_every_updates,
                "agent.target_update_rate": work.target_update_rate,
                "agent.network.encoder": {"kind": "mlp", "hidden_sizes": [first]},
                "agent.network.hidden_sizes": rest,
                "agent.exploration.epsilon": {
                    "kind": "linear", "start": 1.0, "end": 0.04, "fraction": 0.16,
                },
                "replay.capacity": work.capacity,
                "replay.n_step": work.n_step,
                "launch.num_envs": work.num_envs,
                "train.steps": work.env_steps,
                "train.warmup_env_steps": work.warmup_env_steps,
                "train.collect_env_steps": work.collect_env_steps,
                "train.updates_per_env_step": work.updates_per_iteration / work.collect_env_steps,
                "launch.threads": int(threads) if threads.isdigit() else threads,
                "evaluate.every_env_steps": work.env_steps,
                "evaluate.final_episodes": 1,
                "checkpoint.every_env_steps": work.env_steps,
                "checkpoint.save_replay": False,
                "tracking.console": "off",
            },
        )  # fmt: skip
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
