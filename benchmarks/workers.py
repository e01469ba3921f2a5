"""Workers: environment steps per second by their number, what they cost, and how they start.

    python -m benchmarks.workers [--write docs/results/workers.md]

Collection is measured alone, with every launcher and mode, and inside whole training runs in async
mode; each figure is the best of several stretches of time, which others on the machine have
disturbed the least. Ray is started once, for eight workers. The environment that waits needs no
core, so that it shows what the workers can do on any machine; CartPole's steps take microseconds,
and show what a call costs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

import rlplug
from rlplug.distributed.choice import measure
from rlplug.distributed.session import RaySession, usable_cores
from rlplug.distributed.weights import pack
from rlplug.distributed.worker import Order
from rlplug.resolve import resolve
from rlplug.train.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator


WORKERS = (1, 2, 4, 8)
SLOW, FAST = "benchmarks.sleeping:Sleeping", "cartpole"
NAMES = {SLOW: "10 ms a step, waiting", FAST: "CartPole"}
STRETCHES = 5
VECTOR_STEPS = 32
"""Of each environment, in one order."""
HIDDEN_SIZES = (64, 256, 1024, 2048, 4096)
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
    return Rate(environment, "ray, async, training", workers, max(rates))


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


def memory() -> list[str]:
    """Rows: of eight workers that have collected, of Ray's daemons, and of the learner."""
    with parts(FAST, 8, "ray", "sync") as run:
        run.collector.collect(800)
        pids = [place.about.pid for place in run.collector._pool.ready]
        workers = [proportional_megabytes(pid) for pid in pids]
        others = 0.0
        for pid in set(descendants(os.getpid())) - set(pids):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                others += proportional_megabytes(pid)
        learner = proportional_megabytes(os.getpid())
    return [
        f"| a worker, mean of 8 | {sum(workers) / 8:.0f} |",
        f"| 8 workers together | {sum(workers):.0f} |",
        f"| Ray's own processes together | {others:.0f} |",
        f"| the learner, with its replay | {learner:.0f} |",
    ]


def start_up(workers: int) -> float:
    """Seconds from the call to workers that can be asked, where Ray runs already."""
    began = time.perf_counter()
    with parts(FAST, workers, "ray", "sync"):
        return time.perf_counter() - began


def broadcasts() -> list[str]:
    """Rows: seconds until eight workers have acted once, with new weights and without."""
    rows = []
    for size in HIDDEN_SIZES:
        network = {"agent.network.hidden_sizes": [size, size]}
        with parts(FAST, 8, "ray", "sync", **network) as run:
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
            count, began = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < seconds:
                run.collector.collect(workers)  # one step of each
                count += 1
        rounds[workers] = elapsed / count
    of_each_more = (rounds[8] - rounds[1]) / 7
    act = 1 / local.steps_per_second - step
    return {
        "a step of CartPole": step * 1e3,
        "acting, for one vector step": act * 1e3,
        "a round of calls to one worker": (rounds[1] - act - step) * 1e3,
        "each more worker in the round": of_each_more * 1e3,
    }


def rate_table(rates: list[Rate], environment: str) -> list[str]:
    """Steps per second by number of workers, and how far they are from as many times one."""
    lines = [
        f"### {NAMES[environment]}",
        "",
        f"| | {' | '.join(f'{n}' for n in WORKERS)} | 8 / (8 x 1) |",
        f"|---{'|---' * len(WORKERS)}|---|",
    ]
    rates = [rate for rate in rates if rate.environment == environment]
    for how in dict.fromkeys(rate.how for rate in rates):
        of = {rate.workers: rate.steps_per_second for rate in rates if rate.how == how}
        share = of[8] / (8 * of[1])
        lines.append(f"| {how} | {' | '.join(f'{of[n]:,.0f}' for n in WORKERS)} | {share:.2f} |")
    return [*lines, ""]


def page(seconds: float, command: str) -> list[str]:
    """Measure everything; the lines of the page."""
    began = time.perf_counter()
    session = RaySession(resolve("dqn", FAST, workers=8).config.launch)
    session.open()
    ray_seconds = time.perf_counter() - began
    try:
        starts = {workers: start_up(workers) for workers in (1, 8)}
        of_memory = memory()
        rates = []
        for environment in (SLOW, FAST):
            for launcher, mode in (("local", "sync"), ("ray", "sync"), ("ray", "async")):
                for workers in WORKERS:
                    rates.append(collection(environment, workers, launcher, mode, seconds))
                    print(rates[-1], flush=True)
            for workers in WORKERS:
                rates.append(training(environment, workers, seconds, rates[-4].steps_per_second))
                print(rates[-1], flush=True)
        costs = call_costs(seconds / STRETCHES)
        of_broadcast = broadcasts()
    finally:
        session.close()
    versions = ", ".join(f"{n} {version(n)}" for n in ("rlplug", "ray", "torch", "gymnasium"))
    return [
        "# Workers: speed, memory, start-up",
        "",
        f"Made by `{command}`; Python {platform.python_version()}, {versions}, "
        f"{usable_cores()} processor cores, one thread a process, one environment a worker.",
        "[When to use which](../how-to/workers.md) reads these figures.",
        "",
        "## Environment steps per second, by number of workers",
        "",
        "`local` steps as many environments one after the other in one process. Collection alone, "
        f"the best of {STRETCHES} stretches; `training` is a DQN run with an update every four "
        "steps, the best three tenths of it.",
        "",
        *rate_table(rates, SLOW),
        *rate_table(rates, FAST),
        "## Memory",
        "",
        "Proportional set size: what processes have in common counts in shares.",
        "",
        "| | MB |",
        "|---|---|",
        *of_memory,
        "",
        "## Start-up",
        "",
        "| | seconds |",
        "|---|---|",
        f"| Ray itself | {ray_seconds:.1f} |",
        f"| then 1 worker | {starts[1]:.1f} |",
        f"| or 8 workers | {starts[8]:.1f} |",
        "",
        "## Weights to eight workers",
        "",
        "Milliseconds until all have acted once: with new weights, and with those they had.",
        "",
        "| numbers | MB | new | same | the broadcast |",
        "|---|---|---|---|---|",
        *of_broadcast,
        "",
        "## What `--launcher auto` estimates with",
        "",
        "| | milliseconds |",
        "|---|---|",
        *(f"| {name} | {milliseconds:.2f} |" for name, milliseconds in costs.items()),
        "",
    ]


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each rate")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = page(options.seconds, f"python -m benchmarks.workers --seconds {options.seconds:g}")
    print("\n".join(lines))
    if options.write:
        options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
