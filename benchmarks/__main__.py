"""Runs us and a peer in turn, A B A B, each in a process of its own, and prints a table.

    python -m benchmarks W1 --peer sb3 --runs 3 [--write docs/results/speed.md]

The peer has an environment of its own, which is made when it is first needed (`benchmarks.peers`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers import python_of, versions_of
from benchmarks.work import WORK

if TYPE_CHECKING:
    from collections.abc import Iterable

RUN_LIMIT_SECONDS = 900


class System(NamedTuple):
    """A row of a table."""

    name: str
    """The module that runs it."""
    threads: str
    variant: str = ""
    """Of `benchmarks.work.VARIANTS`."""

    @property
    def is_peer(self) -> bool:
        """Whether ours are compared with it."""
        return self.name not in {"ours", "limit"}

    @property
    def label(self) -> str:
        """In the table."""
        return f"{self.name}, {self.variant}" if self.variant else self.name


def run_once(system: System, work: str, device: str) -> dict[str, float]:
    """One run in a fresh process; its last line of output is its figures."""
    interpreter = python_of(system.name) if system.is_peer else sys.executable
    arguments = [work, system.threads, device, *filter(None, [system.variant])]
    done = subprocess.run(
        [interpreter, "-m", f"benchmarks.{system.name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode != 0:
        sys.exit(f"{system.label} failed on {work}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def systems_of(work: str, peer: str, device: str) -> list[System]:
    """Who is measured on a work, and with which numbers of threads.

    All as installed and otherwise, ours in its variants, and what bare torch needs.
    """
    cores = str(len(os.sched_getaffinity(0)))
    ours = [System("ours", "auto"), System("ours", WORK[work].threads or cores)]
    variants = [*WORK[work].variants, *(["compiled"] if device == "cuda" else [])]
    ours += [System("ours", "auto", variant) for variant in variants]
    theirs, limits = (
        [System(name, threads) for threads in ("default", "1")] for name in (peer, "limit")
    )
    return [*ours, *theirs, *limits]


def table(work: str, peer: str, runs: int, device: str) -> list[str]:
    """Rows of one work: medians, and the ratio of each turn to the peer's."""
    systems = systems_of(work, peer, device)
    results: dict[System, list[dict[str, float]]] = {system: [] for system in systems}
    for _ in range(runs):
        for system in systems:
            results[system].append(run_once(system, work, device))
    lines = [
        f"### {work}: {WORK[work].name}",
        "",
        "| system | threads | steps/s (median) | range | whole process, s | peak MiB | updates |",
        "|---|---|---|---|---|---|---|",
    ]
    for system, figures in results.items():
        rates = [f["steps_per_second"] for f in figures]
        median = {key: statistics.median(f[key] for f in figures) for key in figures[0]}
        lines.append(
            f"| {system.label} | {system.threads} | {median['steps_per_second']:,.0f} | "
            f"{min(rates):,.0f}-{max(rates):,.0f} | {median['wall_seconds']:.1f} | "
            f"{median['peak_mebibytes']:.0f} | {median['updates']:,.0f} |"
        )
    return [*lines, "", *ratios(results)]


def ratios(results: dict[System, list[dict[str, float]]]) -> list[str]:
    """Ours against the peer at its better setting, and against bare torch at its, turn by turn.

    Ours as installed, at its better setting where that is another, and in each variant.
    """

    def rate(system: System) -> float:
        return statistics.median(figures["steps_per_second"] for figures in results[system])

    def better(systems: Iterable[System]) -> System:
        return max(systems, key=rate)

    ours = [system for system in results if system.name == "ours"]
    plain = [system for system in ours if not system.variant]
    shown = [plain[0], better(plain), *(system for system in ours if system.variant)]
    theirs = better(system for system in results if system.is_peer)
    limit = better(system for system in results if system.name == "limit")
    lines = []
    for system, other in itertools.product(dict.fromkeys(shown), (theirs, limit)):
        turns = [
            a["steps_per_second"] / b["steps_per_second"]
            for a, b in zip(results[system], results[other], strict=True)
        ]
        lines += [
            f"Ratio of {system.label} ({system.threads} threads) to {other.name} at its better "
            f"setting ({other.threads} threads): **{statistics.median(turns):.2f}** "
            f"({min(turns):.2f}-{max(turns):.2f}).",
            "",
        ]
    return lines


def main() -> None:
    """Parse, run, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("work", nargs="*", default=list(WORK), help=f"of {', '.join(WORK)}")
    parser.add_argument("--peer", choices=["sb3"], default="sb3")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of the networks")
    parser.add_argument("--write", type=Path, help="replace this file with the tables")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("rlplug", "torch", "gymnasium"))
    theirs = versions_of(options.peer, "stable-baselines3", "torch", "gymnasium")
    command = f"python -m benchmarks {' '.join(options.work)} --runs {options.runs}"
    if options.device != "cpu":
        command += f" --device {options.device}"
    lines = [
        "# Speed",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, "
        f"{versions}; the peer in an environment of its own: {theirs}. A shared machine with 2 "
        "cores: trust the ratios. Steps per second count from the first update on; `limit` is bare "
        "torch doing the same on fixed data: forward, backward, Adam and acting, by autograd; it "
        "has no environment and no replay, clips no gradients and copies to a target in SAC alone.",
        "",
    ]
    for work in options.work:
        rows = table(work, options.peer, options.runs, options.device)
        lines += rows
        print("\n".join(rows), flush=True)
        if options.write:
            options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
