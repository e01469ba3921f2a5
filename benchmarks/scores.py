"""Whether what is fast learns as well: final evaluations of the fast way and of the plain one.

    python -m benchmarks.scores [W1 W2 W5] [--seeds 0-4] [--jobs 2] [--write docs/results/scores.md]

With autograd's gradient, and with the one that is written out; W5 in bfloat16 as well. The same
settings and seeds for all ways, each run a process of its own with one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.work import WORK

ROOT = Path(__file__).parents[1]
RUN_LIMIT_SECONDS = 1800
EPISODES = 50
WAYS = {
    "W1": ("autograd", "written out"),
    "W2": ("autograd", "written out"),
    "W5": ("autograd", "written out", "bfloat16"),
}
"""The plain way of each work, and the fast ones."""
ENV_STEPS = {name: WORK[name].match.env_steps for name in WAYS} | {"W1": 50_000}
"""As the works are timed, but for W1, which has learned nothing by then: the Zoo's."""


def train(work: str, way: str, seed: int) -> float:
    """Mean return of the policy at the end of one run in this process."""
    import rlplug

    if way == "autograd":
        _leave_gradients_to_autograd()
    match, env_steps = WORK[work].match, ENV_STEPS[work]
    settings: dict[str, Any] = {
        "evaluate.every_env_steps": env_steps,
        "evaluate.final_episodes": EPISODES,
        "checkpoint.every_env_steps": env_steps,
        "checkpoint.save_replay": False,
        "tracking.console": "off",
        "tracking.tensorboard": False,
        "launch.threads": 1,
    }
    if way == "bfloat16":
        settings["agent.network.precision"] = way
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            match.algorithm, match.environment, preset=None, steps=env_steps, seed=seed,
            run_dir=folder, **(match.ours | settings),
        )  # fmt: skip
    return result.evaluation.mean_return


def _leave_gradients_to_autograd() -> None:
    import rlplug.algorithms.dqn.agent as dqn
    import rlplug.algorithms.dqn.gradient as dqn_gradient
    import rlplug.algorithms.ppo.agent as ppo
    import rlplug.algorithms.ppo.gradient as ppo_gradient
    import rlplug.algorithms.sac.agent as sac
    import rlplug.algorithms.sac.gradient as sac_gradient

    for agent, gradient in ((dqn, dqn_gradient), (ppo, ppo_gradient), (sac, sac_gradient)):
        agent.build_gradient = gradient.ByAutograd  # type: ignore[attr-defined]


def run_once(job: tuple[str, str, int]) -> float:
    """One run as a process of its own; its last line of output is its return."""
    work, way, seed = job
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scores", "--train", work, way, str(seed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=ROOT,
    )
    if done.returncode != 0:
        sys.exit(f"{work} with {way}, seed {seed}, failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def rows(work: str, seeds: range, jobs: int) -> list[str]:
    """All ways of a work, and whether a fast one's mean is within the plain one's spread."""
    lines, plain = [], (0.0, 0.0)
    for way in WAYS[work]:
        with ThreadPoolExecutor(jobs) as pool:
            returns = list(pool.map(run_once, [(work, way, seed) for seed in seeds]))
        mean, spread = statistics.mean(returns), statistics.stdev(returns)
        is_plain = way == WAYS[work][0]
        plain = (mean, spread) if is_plain else plain
        holds = "" if is_plain else "yes" if mean >= plain[0] - plain[1] else "no"
        each = ", ".join(f"{one:.0f}" for one in returns)
        lines.append(
            f"| {WORK[work].name} | {ENV_STEPS[work]:,} | {way} | {each} | "
            f"{mean:.1f} ± {spread:.1f} | {holds} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Parse, run, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("work", nargs="*", default=list(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--seeds", default="0-4", help="first-last")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--write", type=Path, help="replace this file with the table")
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    names = ("rlplug", "torch", "gymnasium", "numpy")
    lines = [
        "# Scores of the fast ways",
        "",
        f"Made by `python -m benchmarks.scores {' '.join(options.work)} --seeds {options.seeds}`; "
        f"Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in names)}; one thread a run.",
        f"Mean return of {EPISODES} greedy episodes of the policy at the end, by seed: the plain "
        "way first, then the fast ones on the same settings and seeds. `holds` says whether its "
        "mean is at least the plain one's minus one standard deviation.",
        "",
        "| work | env steps | way | each seed | mean ± std | holds |",
        "|---|---|---|---|---|---|",
    ]
    for work in options.work:
        lines += rows(work, range(first, last + 1), options.jobs)
    if options.write:
        options.write.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        print(json.dumps(train(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main()
