"""Eight environments step together, and learning stays the same: what changes is the speed.

python examples/eight_workers.py [ENV_STEPS [ray|local]]

On the command line: rlplug train dqn cartpole --workers 8. Ray starts a process for each worker;
the local launcher steps them all in this one, which is faster where a step takes microseconds.
"""

import json
import sys

import rlplug

env_steps = float(sys.argv[1]) if sys.argv[1:] else 20_000
launcher = sys.argv[2] if sys.argv[2:] else "ray"

for workers in (1, 8):
    result = rlplug.train(
        "dqn",
        "cartpole",
        steps=env_steps,
        workers=workers,
        envs_per_worker=1,
        launcher=launcher,
        seed=1,
    )
    rows = [
        json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()
    ]
    last = [row for row in rows if "updates" in row][-1]
    # Updates follow environment steps, so eight environments make as many as one.
    print(
        f"{workers} workers: {last['env_steps'] / last['training_seconds']:,.0f} steps/s, "
        f"{last['updates']} updates, mean return {result.evaluation.mean_return:.1f}"
    )
