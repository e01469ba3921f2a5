"""Trains suites of algorithms over seeds and writes their tables under docs/results/.

    python -m benchmarks.learning value-family --seeds 10-14 --jobs 2 [--only dqn,c51]

Each run is a process of its own with one thread. Figures are kept beside the table as JSON, by
algorithm, so that a part can be run again without the rest. The policy that is measured is the one
at the end of the run, not the best on the way.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.suites import REMARKS, SUITES, Entry

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RUN_LIMIT_SECONDS = 3 * 3600


class Job(NamedTuple):
    """One training run."""

    suite: str
    entry: Entry
    seed: int


def train_once(entry: Entry, seed: int) -> None:
    """One run in this process: prints its figures as one JSON line."""
    import tempfile

    import rlplug

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            entry.algorithm,
            entry.environment,
            preset=entry.preset,
            steps=entry.env_steps,
            seed=seed,
            workers=entry.workers,
            mode=entry.mode,
            run_dir=folder,
            **{
                "tracking.console": "off",
                "tracking.tensorboard": False,
                "launch.threads": 1,
                "checkpoint.save_replay": False,
            },
        )
        lines = (Path(result.run_dir) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    curve = [
        [row["env_steps"], row["evaluation/mean_return"]]
        for row in rows
        if "evaluation/mean_return" in row
    ]
    training = [row["training_seconds"] for row in rows if "training_seconds" in row]
    figures = {
        "seed": seed,
        "mean_return": result.evaluation.mean_return,
        "std_return": result.evaluation.std_return,
        "episodes": result.evaluation.episodes,
        "curve": curve,
        "env_steps": result.env_steps,
        "training_seconds": training[-1],
        "wall_seconds": time.perf_counter() - started,
    }
    print(json.dumps(figures))


def run_job(job: Job) -> tuple[Job, dict[str, Any]]:
    """One run as a process of its own."""
    entry = job.entry
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.learning",
            "--train",
            job.suite,
            entry.key,
            str(job.seed),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=Path(__file__).parents[1],
        env=None,
    )
    if done.returncode != 0:
        sys.exit(f"{entry.algorithm} seed {job.seed} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return job, figures


def table(suite: str, results: dict[str, Any], command: str) -> str:
    """The suite's page: one row an entry, one figure a seed, and the spread."""
    versions = ", ".join(f"{n} {version(n)}" for n in ("rlplug", "torch", "gymnasium", "numpy"))
    lines = [
        f"# Learning: {suite}",
        "",
        f"Made by `{command}`; Python {platform.python_version()}, {versions}, one thread a run.",
        "Mean return over 50 greedy episodes of the policy at the end of training, on seeds that "
        "were not used to choose settings (each row names its own: where a first measurement led "
        "to other settings, fresh seeds were taken). `solved` counts the seeds at or above the "
        "mark, or below it where the row shows what cannot be learned. The seconds are of a shared "
        "machine, some rows' of a very busy one: they compare nothing.",
        "",
        "| algorithm | environment | env steps | mark | solved | each seed | mean ± std over seeds "
        "| training s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in SUITES[suite]:
        runs = results.get(entry.key)
        if not runs:
            continue
        means = [run["mean_return"] for run in runs]
        solved = sum(map(entry.reaches, means))
        mark = f"{'< ' if entry.stays_below else ''}{entry.mark:g}"
        spread = statistics.stdev(means) if len(means) > 1 else 0.0
        seconds = statistics.median(run["training_seconds"] for run in runs)
        each = ", ".join(f"{run['seed']}: {run['mean_return']:.0f}" for run in runs)
        lines.append(
            f"| {entry.command_name} | {entry.environment} | {entry.env_steps:,} | {mark} | "
            f"{solved} of {len(means)} | {each} | {statistics.mean(means):.1f} ± {spread:.1f} | "
            f"{seconds:.0f} |"
        )
    if suite in REMARKS:
        lines += ["", REMARKS[suite]]
    return "\n".join([*lines, ""])


def main() -> None:
    """Parse, run what is asked, and write the suite's JSON and page after each entry."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--seeds", default="10-14", help="first-last")
    parser.add_argument(
        "--only", default="", help="algorithms, or pairs ('ppo cartpole'), separated by commas"
    )
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    wanted = set(filter(None, options.only.split(",")))
    store = RESULTS / f"{options.suite}.json"
    command = f"python -m benchmarks.learning {options.suite} --seeds FIRST-LAST --only ALGORITHM"
    with ThreadPoolExecutor(options.jobs) as pool:
        for entry in SUITES[options.suite]:
            if wanted and not wanted & {entry.algorithm, entry.key}:
                continue
            jobs = [Job(options.suite, entry, seed) for seed in range(first, last + 1)]
            figures = [figures for _, figures in pool.map(run_job, jobs)]
            # read again: another process may have added its part meanwhile
            results: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
            results[entry.key] = figures
            store.write_text(json.dumps(results, indent=1) + "\n")
            page = table(options.suite, results, command)
            (RESULTS / f"{options.suite}.md").write_text(page)
            print(page.splitlines()[-1], flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        of_suite = {entry.key: entry for entry in SUITES[sys.argv[2]]}
        train_once(of_suite[sys.argv[3]], int(sys.argv[4]))
    else:
        main()
