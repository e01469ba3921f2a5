"""Runs us and a peer in turn, A B A B, each in a process of its own, and prints a table.

    python -m benchmarks W1 --peer sb3 --runs 3 [--write docs/results/speed.md]

`--peer-python` names the interpreter of an environment that holds the peer; by default this one.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.work import WORK

RUN_LIMIT_SECONDS = 900


def run_once(system: str, work: str, threads: str, python: str) -> dict[str, float]:
    """One run in a fresh process; its last line of output is its figures."""
    done = subprocess.run(
        [python, "-m", f"benchmarks.{system}", work, threads],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode != 0:
        sys.exit(f"{system} failed on {work}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(work: str, systems: list[tuple[str, str]], runs: int, python: str) -> list[str]:
    """Rows of one work: medians, and the ratio of each turn to the peer's."""
    results: dict[tuple[str, str], list[dict[str, float]]] = {system: [] for system in systems}
    for _ in range(runs):
        for system, threads in systems:
            interpreter = sys.executable if system in {"ours", "limit"} else python
            results[system, threads].append(run_once(system, work, threads, interpreter))
    lines = [
        f"### {work}: {WORK[work].name}",
        "",
        "| system | threads | steps/s (median) | range | whole process, s | peak MiB | updates |",
        "|---|---|---|---|---|---|---|",
    ]
    for (system, threads), figures in results.items():
        rates = [f["steps_per_second"] for f in figures]
        median = {key: statistics.median(f[key] for f in figures) for key in figures[0]}
        lines.append(
            f"| {system} | {threads} | {median['steps_per_second']:,.0f} | "
            f"{min(rates):,.0f}-{max(rates):,.0f} | {median['wall_seconds']:.1f} | "
            f"{median['peak_mebibytes']:.0f} | {median['updates']:,.0f} |"
        )
    peers = [system for system in results if system[0] not in {"ours", "limit"}]
    best = max(peers, key=lambda p: statistics.median(f["steps_per_second"] for f in results[p]))
    mine = next(figures for (system, _), figures in results.items() if system == "ours")
    ratios = [
        a["steps_per_second"] / b["steps_per_second"]
        for a, b in zip(mine, results[best], strict=True)
    ]
    lines += [
        "",
        f"Ratio to {best[0]} at its better setting ({best[1]} threads): "
        f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f}).",
        "",
    ]
    return lines


def main() -> None:
    """Parse, run, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("work", nargs="*", default=list(WORK), help=f"of {', '.join(WORK)}")
    parser.add_argument("--peer", choices=["sb3"], default="sb3")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="replace this file with the tables")
    options = parser.parse_args()
    systems = [("ours", "auto"), (options.peer, "default"), (options.peer, "1"), ("limit", "1")]
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("rlplug", "torch", "stable-baselines3", "gymnasium")
    )
    command = f"python -m benchmarks {' '.join(options.work)} --runs {options.runs}"
    lines = [
        "# Speed",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, "
        f"{versions}; a shared machine with 2 cores: trust the ratios. Steps per second count from "
        "the first update on; `limit` is bare torch doing the same arithmetic on fixed data.",
        "",
    ]
    for work in options.work:
        lines += table(work, systems, options.runs, options.peer_python)
    print("\n".join(lines))
    if options.write:
        options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
