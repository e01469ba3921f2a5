"""Trains suites of algorithms over seeds and writes their tables under docs/results/.

    python -m benchmarks.learning value-family --seeds 10-14 --jobs 2 [--only dqn,c51]
    python -m benchmarks.learning procgen --seeds 10-10 --set agent.network.encoder=nature-cnn

Each run is a process of its own with one thread. Figures are kept beside the table as JSON, by
algorithm, so that a part can be run again without the rest. The policy that is measured is the one
at the end of the run, not the best on the way.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.suites import PLUGINS, REMARKS, SIMULATORS, SUITES, Entry

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RUN_LIMIT_SECONDS = 24 * 3600
RANDOM_EPISODES = 1000


class Job(NamedTuple):
    """One training run."""

    suite: str
    entry: Entry
    seed: int
    settings: tuple[str, ...] = ()
    """`KEY=VALUE`, over the preset's."""


def train_once(entry: Entry, seed: int, *settings: str) -> None:
    """One run in this process: prints its figures as one JSON line."""
    import tempfile

    import rlplug
    from benchmarks.random_policy import random_returns

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
                **dict(setting.split("=", 1) for setting in settings),
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
        **({"settings": list(settings)} if settings else {}),
        **_of_sets(result.evaluation, rows),
        "env_steps": result.env_steps,
        "training_seconds": training[-1],
        "wall_seconds": time.perf_counter() - started,
    }
    if result.evaluation.sets:
        figures["random"] = random_returns(
            entry.environment, episodes=RANDOM_EPISODES, seed=int(seed)
        )
    print(json.dumps(figures))


def _of_sets(evaluation: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and curves by evaluation set, where there are several."""
    if not evaluation.sets:
        return {}
    curves = {
        name: [
            [row["env_steps"], row[key]]
            for row in rows
            if (key := f"evaluation/{name}/mean_return") in row
        ]
        for name in evaluation.sets
    }
    means = {name: one.mean_return for name, one in evaluation.sets.items()}
    return {"sets": means, "set_curves": curves}


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
            str(entry.env_steps),
            str(job.seed),
            *job.settings,
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


def versions(suite: str) -> str:
    """What the suite's figures were made with."""
    names = ["rlplug", "torch", "gymnasium", "numpy"]
    if suite in PLUGINS:
        names += [PLUGINS[suite], SIMULATORS[suite]]
    return ", ".join(f"{name} {version(name)}" for name in names)


def table(suite: str, results: dict[str, Any], command: str) -> str:
    """The suite's page: one row an entry, one figure a seed, and the spread."""
    lines = [
        f"# Learning: {suite}",
        "",
        f"Made by `{command}`; Python {platform.python_version()}, {versions(suite)}, one thread a "
        "run.",
        "Mean return over 50 episodes of the policy at the end of training (greedy, or sampled "
        "where its preset evaluates so), on seeds that "
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
        digits = 0 if max(map(abs, means)) >= 100 else 1
        each = ", ".join(f"{run['seed']}: {run['mean_return']:.{digits}f}" for run in runs)
        settings = "".join(f" --{each}" for each in runs[0].get("settings", ())).replace("=", " ")
        env_steps = min(entry.env_steps, runs[0]["env_steps"])
        lines.append(
            f"| {entry.command_name}{settings} | {entry.environment} | {env_steps:,} | "
            f"{mark} | {solved} of {len(means)} | {each} | {statistics.mean(means):.1f} ± "
            f"{spread:.1f} | {seconds:.0f} |"
        )
    if suite in PLUGINS:
        for entry in SUITES[suite]:
            lines += curves(results.get(entry.key, []))
        for store in sorted(RESULTS.glob(f"{suite}-beside*.json")):
            lines += beside(store)
    if suite in REMARKS:
        lines += ["", REMARKS[suite]]
    return "\n".join([*lines, ""])


def curves(runs: list[dict[str, Any]]) -> list[str]:
    """A table of the evaluations on the way, a column a seed and set; with a random policy's."""
    columns: dict[str, list[list[float]]] = {}
    for run in runs:
        for name, curve in run.get("set_curves", {"": run["curve"]}).items():
            columns[f"seed {run['seed']}{', ' if name else ''}{name}"] = curve
    if not columns:
        return []
    steps = [step for step, _ in next(iter(columns.values()))]
    lines = ["", "Mean return of the evaluations on the way:", ""]
    lines += [f"| env steps | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for at, step in enumerate(steps):
        row = (f"{curve[at][1]:.1f}" if at < len(curve) else "" for curve in columns.values())
        lines.append(f"| {step:,} | {' | '.join(row)} |")
    for run in runs:
        for name, random in run.get("random", {}).items():
            mean = run["sets"][name]
            lines += [
                "",
                f"Seed {run['seed']}, {name}: {mean:.2f} at the end, {mean / random:.1f} times the "
                f"{random:.2f} of a uniformly random policy ({RANDOM_EPISODES:,} episodes).",
            ]
    return lines


def beside(store: Path) -> list[str]:
    """Curves to compare with, for the same number of steps: somebody else's, or a twin's."""
    kept = json.loads(store.read_text())
    columns: dict[str, list[list[float]]] = kept["curves"]
    lines = ["", kept["text"], ""]
    lines += [f"| env steps | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for points in zip(*columns.values(), strict=True):
        values = (f"{value:.1f}" for _, value in points)
        lines.append(f"| {points[0][0]:,} | {' | '.join(values)} |")
    return lines


def keep(suite: str, entry: Entry, runs: list[dict[str, Any]], command: str, folder: Path) -> str:
    """Write an entry's runs into the suite's JSON, and its page, which is returned."""
    store = folder / f"{suite}.json"
    # read each time: another process may have added its part meanwhile
    results: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    results[entry.key] = runs
    store.write_text(json.dumps(results, indent=1) + "\n")
    page = table(suite, results, command)
    (folder / f"{suite}.md").write_text(page)
    return page


def keep_twin(suite: str, name: str, runs: list[dict[str, Any]], command: str, folder: Path) -> str:
    """Write the curves of another setting, which the suite's page shows below its own."""
    kept = {
        "text": f"The same with {name}: `{command}`; {versions(suite)}.",
        "curves": {f"{name}, seed {run['seed']}": run["curve"] for run in runs},
    }
    store = folder / f"{suite}-beside-{name}.json"
    store.write_text(json.dumps(kept, indent=1) + "\n")
    return "\n".join(beside(store))


def main() -> None:
    """Parse, run what is asked, and write the suite's JSON and page after each entry."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--seeds", default="10-14", help="first-last")
    parser.add_argument(
        "--only", default="", help="algorithms, or pairs ('ppo cartpole'), separated by commas"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--steps", type=lambda text: int(float(text)), help="for a short look")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    parser.add_argument("--twin", metavar="NAME", help="keep the curves below the suite's own")
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    wanted = set(filter(None, options.only.split(",")))
    known = {name for entry in SUITES[options.suite] for name in (entry.algorithm, entry.key)}
    if wanted - known:
        parser.error(
            f"--only: {options.suite} has no {sorted(wanted - known)}, but {sorted(known)}"
        )
    folder: Path = options.results
    command = f"python -m benchmarks.learning {options.suite} --seeds FIRST-LAST --only ALGORITHM"
    if options.suite in PLUGINS:
        command = shlex.join(["python", "-m", "benchmarks.learning", *sys.argv[1:]])
    with ThreadPoolExecutor(options.jobs) as pool:
        for entry in SUITES[options.suite]:
            if wanted and not wanted & {entry.algorithm, entry.key}:
                continue
            taken = entry._replace(env_steps=options.steps or entry.env_steps)
            jobs = [
                Job(options.suite, taken, seed, tuple(options.settings))
                for seed in range(first, last + 1)
            ]
            figures: list[dict[str, Any]] = []
            for _, run in pool.map(run_job, jobs):
                figures.append(run)
                if options.twin:
                    page = keep_twin(*(options.suite, options.twin, figures, command), folder)
                else:
                    page = keep(options.suite, entry, figures, command, folder)
            print(page, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        of_suite = {entry.key: entry for entry in SUITES[sys.argv[2]]}
        key, steps, seed, *settings = sys.argv[3:]
        train_once(of_suite[key]._replace(env_steps=int(steps)), int(seed), *settings)
    else:
        main()
