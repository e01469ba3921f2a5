"""Time to solve: whole processes, from the command to the first evaluation at the mark.

    python -m benchmarks.time_to_solve [--seeds 0-4] [--only "ppo cartpole,dqn cartpole"]
        [--write docs/results/time-to-solve.md]

We with our presets and Stable-Baselines3 with the RL Baselines3 Zoo's settings, in turn, seed by
seed. DQN is also trained to its end, evaluated on the way, to see whether what was reached is kept.
A run that fails, or never reaches the mark, is a row's entry like any other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import python_of, versions_of
from benchmarks.sb3_solve import EPISODES, EVALUATION_ENVS, PROBLEMS, Problem

ROOT = Path(__file__).parents[1]
RLPLUG = str(Path(sys.executable).with_name("rlplug"))
RUN_LIMIT_SECONDS = 1800
KEPT = "dqn cartpole"
"""What is also trained to its end."""
LOW = 400
"""A solved pole that is held for less has been unlearned."""


class Run(NamedTuple):
    """What came of one process."""

    seed: int
    seconds: float
    env_steps: int = 0
    threads: int = 0
    failure: str = ""
    """Why it does not count; empty where it reached the mark."""

    @property
    def told(self) -> str:
        """In the table."""
        return f"{self.seed}: {self.failure or f'{self.seconds:.1f} at {self.env_steps:,}'}"


class Kept(NamedTuple):
    """The evaluations of one run to its end."""

    seed: int
    curve: tuple[tuple[int, float], ...] = ()
    """(environment steps, mean return), the last of the policy at the end."""
    failure: str = ""

    def first(self, mark: float) -> int | None:
        """Environment steps of the first evaluation at the mark."""
        return next((steps for steps, mean in self.curve if mean >= mark), None)

    def lowest_after(self, first: int) -> tuple[float, int] | None:
        """The lowest mean return after it, and at how many environment steps."""
        return min(((mean, steps) for steps, mean in self.curve if steps > first), default=None)


def timed(command: list[str]) -> tuple[float, str, str]:
    """One process: its seconds, its output, and what went wrong with it, if anything did."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_LIMIT_SECONDS,
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired as error:
        return error.timeout, "", f"no end in {RUN_LIMIT_SECONDS:,} s"
    seconds = time.perf_counter() - started
    if done.returncode == 0:
        return seconds, done.stdout, ""
    print(done.stderr[-2000:], file=sys.stderr)
    return seconds, done.stdout, f"failed with exit code {done.returncode}"


def our_command(
    problem: Problem, seed: int | str, run_root: str, *, until_solved: bool
) -> list[str]:
    """As a user types it. A run that stops at the mark ends without many more episodes."""
    match = problem.match
    until = ["--stop.target_return", f"{problem.mark:g}", "--evaluate.final_episodes", "1"]
    return [
        *(RLPLUG, "train", match.algorithm, match.environment, "--seed", str(seed)),
        *("--steps", str(match.env_steps)),
        *("--evaluate.every_env_steps", str(problem.every_env_steps)),
        *("--evaluate.episodes", str(EPISODES), "--evaluate.where", "inline"),
        *(until if until_solved else []),
        *("--run-dir", run_root),
    ]


def evaluations(run_dir: Path) -> tuple[tuple[int, float], ...]:
    """(environment steps, mean return) of each evaluation of a run of ours."""
    rows = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    key = "evaluation/mean_return"
    return tuple((row["env_steps"], row[key]) for row in rows if key in row)


def only_run(run_root: str) -> Path:
    """The folder of the one run under it."""
    return next(Path(run_root).rglob("run.json")).parent


def solve_ours(problem: Problem, seed: int) -> Run:
    """One process of ours."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, _, failure = timed(our_command(problem, seed, folder, until_solved=True))
        if failure:
            return Run(seed, seconds, failure=failure)
        run_dir = only_run(folder)
        record = json.loads((run_dir / "run.json").read_text())
        on_the_way = evaluations(run_dir)[:-1]  # the last is of one episode
    reached = next((steps for steps, mean in on_the_way if mean >= problem.mark), None)
    if reached is None:
        return Run(
            seed, seconds, failure=never(max((mean for _, mean in on_the_way), default=None))
        )
    return Run(seed, seconds, reached, record["chosen"]["launch.threads"])


def solve_theirs(problem: Problem, seed: int) -> Run:
    """One process of Stable-Baselines3."""
    match = problem.match
    arguments = [match.key, str(seed), str(match.env_steps)]
    seconds, output, failure = timed([python_of("sb3"), "-m", "benchmarks.sb3_solve", *arguments])
    if failure:
        return Run(seed, seconds, failure=failure)
    figures = json.loads(output.splitlines()[-1])
    if figures["best"] < problem.mark:
        return Run(seed, seconds, failure=never(figures["best"]))
    return Run(seed, seconds, figures["env_steps"], figures["threads"])


def never(best: float | None) -> str:
    """The entry of a run that ended below the mark."""
    return "never" if best is None else f"never (best {best:.0f})"


def keep(problem: Problem, seed: int) -> Kept:
    """One run of ours to its end, evaluated on the way."""
    with tempfile.TemporaryDirectory() as folder:
        _, _, failure = timed(our_command(problem, seed, folder, until_solved=False))
        return Kept(seed, failure=failure) if failure else Kept(seed, evaluations(only_run(folder)))


def warm_up() -> None:
    """Load both from disk once, so that the first run of either is like the others."""
    timed([RLPLUG, "train", "ppo", "cartpole", "--dry-run"])
    timed([python_of("sb3"), "-c", "import stable_baselines3"])


SYSTEMS = {"ours": solve_ours, "sb3": solve_theirs}
Results = dict[str, dict[str, list[Run]]]


def row(key: str, system: str, runs: list[Run]) -> str:
    """One system's row: medians and ranges over the seeds that reached the mark."""
    problem = PROBLEMS[key]
    solved = [run for run in runs if not run.failure]
    cells = ["", "", "", ""]
    if solved:
        seconds, steps = [run.seconds for run in solved], [run.env_steps for run in solved]
        cells = [
            f"{statistics.median(seconds):.1f}",
            f"{min(seconds):.1f}-{max(seconds):.1f}",
            f"{statistics.median(steps):,.0f}",
            ", ".join(sorted({str(run.threads) for run in solved})),
        ]
    each = ", ".join(run.told for run in runs)
    return (
        f"| {key} | {problem.mark:g} | {system} | {len(solved)} of {len(runs)} | "
        f"{' | '.join(cells)} | {each} |"
    )


def ratio(key: str, systems: dict[str, list[Run]]) -> str:
    """Our seconds as a multiple of theirs, over the seeds that both solved."""
    pairs = list(zip(systems["ours"], systems["sb3"], strict=True))
    ratios = [a.seconds / b.seconds for a, b in pairs if not a.failure and not b.failure]
    counted = f"{len(ratios)} of {len(pairs)} seeds"
    if not ratios:
        return f"- {key}: none, {counted}"
    return (
        f"- {key}: **{statistics.median(ratios):.2f}** "
        f"({min(ratios):.2f}-{max(ratios):.2f}), {counted}"
    )


def kept_table(runs: list[Kept]) -> list[str]:
    """Per seed: the first evaluation at the mark, the lowest after it, and the last."""
    problem = PROBLEMS[KEPT]
    lines = [
        "",
        f"### {KEPT}, trained to its end",
        "",
        f"Ours, its preset's {problem.match.env_steps:,} steps, {EPISODES} episodes every "
        f"{problem.every_env_steps:,}; the last evaluation has 50.",
        "",
        "| seed | first at the mark, env steps | lowest afterwards | at env steps | at the end |",
        "|---|---|---|---|---|",
    ]
    fallen, solved = 0, 0
    for run in runs:
        first = None if run.failure else run.first(problem.mark)
        if first is None:
            best = max((mean for _, mean in run.curve), default=None)
            end = f"{run.curve[-1][1]:.0f}" if run.curve else ""
            lines.append(f"| {run.seed} | {run.failure or never(best)} | | | {end} |")
            continue
        solved += 1
        lowest = run.lowest_after(first)
        fallen += lowest is not None and lowest[0] < LOW
        after = f"{lowest[0]:.0f} | {lowest[1]:,}" if lowest else " | "
        lines.append(f"| {run.seed} | {first:,} | {after} | {run.curve[-1][1]:.0f} |")
    return [
        *lines,
        "",
        f"{solved} of {len(runs)} seeds reached {problem.mark:g}; {fallen} of those fell below "
        f"{LOW} afterwards.",
    ]


def page(results: Results, kept: list[Kept], command: str) -> str:
    """Both tables."""
    ours = ", ".join(
        f"{name} {version(name)}" for name in ("rlplug", "torch", "gymnasium", "numpy")
    )
    theirs = versions_of("sb3", "stable-baselines3", "torch", "gymnasium", "numpy")
    periods = ", ".join(f"{key} {PROBLEMS[key].every_env_steps:,}" for key in results)
    lines = [
        "# Time to solve",
        "",
        f"Made by `{command}`; Python {platform.python_version()}. Ours: {ours}. Theirs: {theirs}. "
        f"{os.cpu_count()} cores, threads as each chooses; a shared machine: trust the ratios.",
        "Seconds of the whole process, from the command to its end after the first evaluation at "
        "the mark, imports and, of ours, checkpoints included. Ours is `rlplug train` with the "
        "preset of the pair; theirs are the RL Baselines3 Zoo's settings (`benchmarks/"
        f"sb3_solve.py`). Both play {EPISODES} greedy episodes in {EVALUATION_ENVS} environments "
        f"while training waits, each so many environment steps: {periods}.",
        "",
        "| work | mark | system | reached | seconds (median) | range | env steps (median) | "
        "threads | each seed: seconds at env steps |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            row(key, name, runs)
            for key, systems in results.items()
            for name, runs in systems.items()
        ),
        "",
        "Our seconds as a multiple of theirs, seed by seed (median, range; below 1 we are sooner):",
        "",
        *(ratio(key, systems) for key, systems in results.items()),
        *(kept_table(kept) if kept else []),
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Parse, run in turn, print, and write after each pair where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_to_solve", description=__doc__)
    parser.add_argument("--seeds", default="0-4", help="first-last")
    parser.add_argument("--only", default=",".join(PROBLEMS), help="pairs, separated by commas")
    parser.add_argument("--steps", type=lambda text: int(float(text)), help="for a short look")
    parser.add_argument("--write", type=Path, help="replace this file with the tables")
    options = parser.parse_args()
    asked = sys.argv[1 : sys.argv.index("--write")] if "--write" in sys.argv else sys.argv[1:]
    command = shlex.join(["python", "-m", "benchmarks.time_to_solve", *asked])
    first, last = map(int, options.seeds.split("-"))
    keys = [key.strip() for key in options.only.split(",")]
    problems: dict[str, Problem] = {key: PROBLEMS[key] for key in keys}
    if options.steps:
        for key, problem in problems.items():
            match = replace(problem.match, env_steps=options.steps)
            problems[key] = problem._replace(match=match)
    results: Results = {key: {system: [] for system in SYSTEMS} for key in problems}
    kept: list[Kept] = []

    def publish(done: Any) -> None:
        print(done, file=sys.stderr, flush=True)
        if options.write:
            options.write.write_text(page(results, kept, command))

    warm_up()
    for key, problem in problems.items():
        for seed in range(first, last + 1):
            for system, solve in SYSTEMS.items():
                results[key][system].append(solve(problem, seed))
            publish({name: runs[-1] for name, runs in results[key].items()})
    if KEPT in problems:
        for seed in range(first, last + 1):
            kept.append(keep(problems[KEPT], seed))
            publish(kept[-1])
    print(page(results, kept, command))


if __name__ == "__main__":
    main()
