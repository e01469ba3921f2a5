"""What keeping freed memory gains: `python -m benchmarks.allocator`.

Prints the table of docs/decisions/0034-freed-memory-stays.md: whole DQN updates on one thread, each
way in processes of its own, in turn; medians of milliseconds of wall time.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import torch

from benchmarks.precision import WORK, agent_of, batch_of
from rlplug.train.compute import keep_freed_memory

IMAGES = ("Nature CNN, 32", "Nature CNN, 256")
UPDATES, TURNS = 30, 3
LIMIT_SECONDS = 300


class Figures(NamedTuple):
    """Of one process."""

    milliseconds: float
    """Of an update."""
    page_faults: float
    """Of an update; each is a page of 4 KiB that the system hands over."""
    mebibytes: float
    """The most that the process held."""


def measure(name: str, precision: str, way: str) -> Figures:
    """In this process."""
    if way == "kept":
        keep_freed_memory()
    torch.set_num_threads(1)
    agent, batch = agent_of(WORK[name], precision), batch_of(WORK[name])
    for _ in range(5):
        agent.update(batch)
    taken, faults = [], _faults()
    for _ in range(UPDATES):
        began = time.perf_counter()
        agent.update(batch)
        taken.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Figures(statistics.median(taken) * 1e3, (_faults() - faults) / UPDATES, peak)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def in_processes(name: str, precision: str) -> list[Figures]:
    """Given back and kept: the median of each figure over the turns."""
    runs: dict[str, list[Figures]] = {"given back": [], "kept": []}
    for _ in range(TURNS):
        for way, figures in runs.items():
            command = [sys.executable, "-m", "benchmarks.allocator", name, precision, way]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS
            )
            figures.append(Figures(*json.loads(done.stdout)))
    return [
        Figures(*map(statistics.median, zip(*figures, strict=True))) for figures in runs.values()
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
        sys.exit()
    print("| network, batch | | ms | page faults | peak MiB | ms, kept | page faults | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in IMAGES:
        for precision in ("float32", "bfloat16"):
            cells = [
                f"{one.milliseconds:.1f} | {one.page_faults:,.0f} | {one.mebibytes:,.0f}"
                for one in in_processes(name, precision)
            ]
            print(f"| {name} | {precision} | {' | '.join(cells)} |", flush=True)
