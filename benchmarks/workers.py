"""Workers: environment steps per second by their number, what they cost, and how they start.

    python -m benchmarks.workers [--only slow,memory]

Collection is measured alone, with every launcher and mode, and inside whole training runs in async
mode; each figure is the best of several stretches of time, which others on the machine have
disturbed the least. The environment that waits needs no core, so that it shows what the workers can
do on any machine; CartPole's steps take microseconds, and show what a call costs. Figures are kept
beside the page as JSON, by section.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

import rlplug
from rlplug.config import LaunchConfig
from rlplug.distributed.choice import measure
from rlplug.distributed.session import RaySession, usable_cores
from rlplug.distributed.weights import pack
from rlplug.distributed.worker import Order
from rlplug.resolve import resolve
from rlplug.train.build import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


STORE = Path(__file__).parents[1] / "docs" / "results" / "workers.json"
WORKERS = (1, 2, 4, 8)
SLOW, FAST = "benchmarks.sleeping:Sleeping", "cartpole"
STRETCHES = 5
VECTOR_STEPS = 32
"""Of each environment, in one order."""
HIDDEN_SIZES = (64, 1024, 4096)
"""Of two hidden layers each, for the time of a broadcast."""
LEARNER_STEPS_PER_SECOND = 2_000
"""About what an update every four steps leaves room for: how long a training run is to be."""
QUIET = {"tracking.console": "off", "tracking.tensorboard": False, "evaluate.where": "inline"}


class Rate(NamedTuple):
    """How fast so many workers are."""

    environment: str
    how: str
    workers: int
    steps_per_second: float


@contextlib.contextmanager
def parts(environment: str, workers: int, launcher: str, mode: str, **more: Any) -> Iterator[Any]:
    """The parts of a run, with one environment for each worker."""
    resolved = resolve(
        "dqn",
        environment,
        preset=None,
        overrides={**QUIET, "train.steps": 100_000_000, "launch.num_envs": workers, **more},
        workers=workers if launcher == "ray" else 1,
        launcher=launcher,
        mode=mode,
        device="cpu",
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(build(resolved, Path(folder))) as run,
    ):
        yield run


@contextlib.contextmanager
def ray_for_eight() -> Iterator[None]:
    """Ray, which runs within this process then use."""
    session = RaySession(LaunchConfig(workers=8))
    session.open()
    try:
        yield
    finally:
        session.close()


def collection(environment: str, workers: int, launcher: str, mode: str, seconds: float) -> Rate:
    """Of collection alone, with weights that do not change."""
    chunk = VECTOR_STEPS * workers
    with parts(environment, workers, launcher, mode) as run:
        run.collector.collect(chunk)
        rates = []
        for _ in range(STRETCHES):
            first, began = run.collector.env_steps, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < seconds / STRETCHES:
                run.collector.collect(chunk)
            rates.append((run.collector.env_steps - first) / elapsed)
    how = launcher if launcher == "local" else f"{launcher}, {mode}"
    return Rate(environment, how, workers, max(rates))


def training(environment: str, workers: int, seconds: float, rate: float) -> Rate:
    """Of a DQN run in async mode, one update every four steps; for about as long."""
    steps = int(seconds * min(rate, LEARNER_STEPS_PER_SECOND))
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            "dqn",
            environment,
            preset=None,
            workers=workers,
            launcher="ray",
            mode="async",
            run_dir=folder,
            steps=steps,
            device="cpu",
            **{
                **QUIET,
                "launch.num_envs": workers,
                "train.warmup_env_steps": 64,
                "train.collect_env_steps": 64,
                "evaluate.every_env_steps": 10**9,
                "evaluate.final_episodes": 1,
                "env.max_episode_steps": 50,
                "checkpoint.save_replay": False,
                "tracking.report_every_env_steps": max(1, steps // 10),
            },
        )
        lines = (result.run_dir / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "training_seconds" in row]
    marks = [(row["training_seconds"], row["env_steps"]) for row in rows[1::3]]
    rates = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(marks)]
    return Rate(
        environment, "CartPole" if environment == FAST else "10 ms a step", workers, max(rates)
    )


def proportional_megabytes(pid: int) -> float:
    """Of a process: its own pages, and its share of those that it has in common."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def descendants(pid: int) -> list[int]:
    """Processes below one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def memory(_: float) -> list[str]:
    """Rows: of eight workers that have collected, of Ray's daemons, and of the learner."""
    with ray_for_eight(), parts(FAST, 8, "ray", "sync") as run:
        run.collector.collect(800)
        pids = [place.about.pid for place in run.collector._pool.ready]
        workers = [proportional_megabytes(pid) for pid in pids]
        others = 0.0
        for pid in set(descendants(os.getpid())) - set(pids):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                others += proportional_megabytes(pid)
        learner = proportional_megabytes(os.getpid())
    return [
        "| | MiB |",
        "|---|---|",
        f"| a worker, mean of 8 | {sum(workers) / 8:.0f} |",
        f"| 8 workers together | {sum(workers):.0f} |",
        f"| Ray's own processes together | {others:.0f} |",
        f"| the learner, with its replay | {learner:.0f} |",
    ]


def start_up(_: float) -> list[str]:
    """Rows: seconds to start Ray, and then workers that can be asked."""
    began = time.perf_counter()
    with ray_for_eight():
        rows = ["| | seconds |", "|---|---|", f"| Ray itself | {time.perf_counter() - began:.1f} |"]
        for workers in (1, 8):
            began = time.perf_counter()
            with parts(FAST, workers, "ray", "sync"):
                seconds = time.perf_counter() - began
            rows.append(f"| then {workers} worker{'s' * (workers > 1)} | {seconds:.1f} |")
    alone = median(_seconds_of("import torch") for _ in range(3))
    return [*rows, f"| beside it: a process alone that imports torch | {alone:.1f} |"]


def _seconds_of(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, timeout=60)
    return time.perf_counter() - began


def broadcasts(_: float) -> list[str]:
    """Rows: milliseconds until eight workers have acted once, with new weights and without."""
    rows = ["| numbers | MB | new | same | the broadcast |", "|---|---|---|---|---|"]
    for size in HIDDEN_SIZES:
        network = {
            "agent.network.encoder": "mlp",
            "agent.network.hidden_sizes": [size, size],
        }
        with ray_for_eight(), parts(FAST, 8, "ray", "sync", **network) as run:
            pool = run.collector._pool  # below the contract, to see one call alone
            weights = run.agent.policy_weights()
            numbers = sum(tensor.numel() for tensor in weights.values())
            with_new, without = [], []
            for version in range(1, 8):
                began = time.perf_counter()
                _act_once(pool, pool.engine.put(pack(weights)), version)
                with_new.append(time.perf_counter() - began)
                began = time.perf_counter()
                _act_once(pool, None, version)
                without.append(time.perf_counter() - began)
        new, none = median(with_new[1:]) * 1e3, median(without[1:]) * 1e3
        size_mb = numbers * 4 / 1e6
        rows.append(f"| {numbers:,} | {size_mb:.1f} | {new:.1f} | {none:.1f} | {new - none:.1f} |")
    return rows


def _act_once(pool: Any, weights: Any, weights_version: int) -> None:
    for place in pool.places:
        pool.ask(place, "collect", Order(1, 0, weights_version), weights, steps=(1, 1))
    for place in pool.places:
        while not pool.answered([place], 1.0):
            pass
        pool.take(place)


def call_costs(seconds: float) -> dict[str, float]:
    """What `auto` estimates with, in milliseconds."""
    step = measure(resolve("dqn", FAST, preset=None)).wall
    local = collection(FAST, 1, "local", "sync", seconds)
    rounds = {}
    for workers in WORKERS:
        with parts(FAST, workers, "ray", "sync") as run:
            run.collector.collect(VECTOR_STEPS * workers)
            times, until = [], time.perf_counter() + seconds
            while time.perf_counter() < until:
                began = time.perf_counter()
                run.collector.collect(workers)  # one step of each
                times.append(time.perf_counter() - began)
        rounds[workers] = median(times)
    of_each_more = (rounds[8] - rounds[1]) / 7
    act = 1 / local.steps_per_second - step
    return {
        "a step of CartPole": step * 1e3,
        "acting, for one vector step": act * 1e3,
        "a round of calls to one worker": (rounds[1] - act - step) * 1e3,
        "each more worker in the round": of_each_more * 1e3,
    }


def rate_table(rates: list[Rate]) -> list[str]:
    """Steps per second by number of workers, and how far they are from as many times one."""
    lines = [
        f"| | {' | '.join(f'{n}' for n in WORKERS)} | 8 / (8 x 1) |",
        f"|---{'|---' * len(WORKERS)}|---|",
    ]
    for how in dict.fromkeys(rate.how for rate in rates):
        of = {rate.workers: rate.steps_per_second for rate in rates if rate.how == how}
        share = of[8] / (8 * of[1])
        lines.append(f"| {how} | {' | '.join(f'{of[n]:,.0f}' for n in WORKERS)} | {share:.2f} |")
    return lines


def speed(environment: str, seconds: float) -> list[str]:
    """Rows: how fast an environment is stepped, by whom."""
    rates: list[Rate] = []
    with ray_for_eight():
        for launcher, mode in (("local", "sync"), ("ray", "sync"), ("ray", "async")):
            for workers in WORKERS:
                rates.append(collection(environment, workers, launcher, mode, seconds))
                print(rates[-1], flush=True)
    return rate_table(rates)


def speed_of_training(seconds: float) -> list[str]:
    """Rows: how fast whole runs are, of both environments."""
    rates = []
    with ray_for_eight():
        for environment, expected in ((SLOW, 90), (FAST, 1_000)):
            for workers in WORKERS:
                rates.append(training(environment, workers, seconds, expected * workers))
                print(rates[-1], flush=True)
    return rate_table(rates)


def calls(seconds: float) -> list[str]:
    """Rows: what a call takes."""
    with ray_for_eight():
        costs = call_costs(seconds / STRETCHES)
    return ["| | milliseconds |", "|---|---|"] + [f"| {n} | {ms:.2f} |" for n, ms in costs.items()]


class Section(NamedTuple):
    """A part of the page."""

    title: str
    about: str
    measure: Callable[[float], list[str]]


SECTIONS = {
    "slow": Section(
        "Environment steps per second: steps of 10 ms, waiting",
        "By number of workers, with one environment each; `local` steps as many one after the "
        f"other in one process. Collection alone, the best of {STRETCHES} stretches. The last "
        "column compares eight workers with eight times one.",
        functools.partial(speed, SLOW),
    ),
    "fast": Section(
        "Environment steps per second: CartPole",
        "As before, with steps that take microseconds.",
        functools.partial(speed, FAST),
    ),
    "training": Section(
        "Environment steps per second: training in async mode",
        "A DQN run with 16 updates after every 64 steps, the best three tenths of it. The updates "
        "take the learner's core, whoever steps the environments.",
        speed_of_training,
    ),
    "memory": Section(
        "Memory",
        "Proportional set size: what processes have in common counts in shares.",
        memory,
    ),
    "start": Section("Start-up", "", start_up),
    "weights": Section(
        "Weights to eight workers",
        "Milliseconds until all have acted once: with new weights, and with those they had.",
        broadcasts,
    ),
    "calls": Section("What `--launcher auto` estimates with", "", calls),
}


def page(parts_of_page: dict[str, list[str]]) -> str:
    """The sections that have been measured, in order."""
    versions = ", ".join(f"{n} {version(n)}" for n in ("rlplug", "ray", "torch", "gymnasium"))
    lines = [
        "# Workers: speed, memory, start-up",
        "",
        f"Made by `python -m benchmarks.workers --only SECTION`; Python "
        f"{platform.python_version()}, {versions}, {usable_cores()} processor cores, one thread a "
        "process, on a shared machine.",
        "[When to use which](../how-to/workers.md#measured) reads these figures.",
        "",
    ]
    for name, section in SECTIONS.items():
        if name in parts_of_page:
            about = [section.about, ""] if section.about else []
            lines += [f"## {section.title}", "", *about, *parts_of_page[name], ""]
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked, and write the figures and the page after each section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, by commas")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only.split(","):
        lines = SECTIONS[name].measure(options.seconds)
        measured = json.loads(STORE.read_text()) if STORE.exists() else {}
        measured[name] = lines
        STORE.write_text(json.dumps(measured, indent=1) + "\n")
        STORE.with_suffix(".md").write_text(page(measured))
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
