"""Train in two parts: the second goes on where the first was saved, in the same folder.

python examples/resume.py [ENV_STEPS]

The first part could as well have been ended by Ctrl-C. On the command line:
rlplug train --resume last --steps ENV_STEPS
"""

import json
import sys

import rlplug

env_steps = int(float(sys.argv[1])) if sys.argv[1:] else 20_000

first = rlplug.train("dqn", "cartpole", steps=env_steps // 2, seed=1)

# Only what leaves the past as it was may change: the length, evaluation, checkpoints, tracking.
second = rlplug.resume(first.run_dir, steps=env_steps)

rows = [json.loads(line) for line in (second.run_dir / "metrics.jsonl").read_text().splitlines()]
updates = [(row["env_steps"], row["updates"]) for row in rows if "updates" in row]
print(f"one folder, one history of {len(updates)} reports: {second.run_dir}")
print(f"after the first part:  {first.env_steps} environment steps")
print(f"after the second part: {second.env_steps} environment steps, {updates[-1][1]} updates")
