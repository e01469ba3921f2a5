"""Start-up: wall time of commands that import nothing heavy, beside an empty Python process.

    python -m benchmarks.startup [--runs 20] [--write docs/results/start-up.md]

The first run of each warms the file cache and the plugin index, and is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "rlplug --help": [str(Path(sys.executable).with_name("rlplug")), "--help"],
    "rlplug list": [str(Path(sys.executable).with_name("rlplug")), "list"],
    "rlplug info dqn": [str(Path(sys.executable).with_name("rlplug")), "info", "dqn"],
}


def milliseconds(command: list[str]) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return 1_000 * (time.perf_counter() - started)


def main() -> None:
    """Time each command in turn, round after round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(options.runs + 1):
        for name, command in COMMANDS.items():
            elapsed = milliseconds(command)
            if number:
                times[name].append(elapsed)
    lines = [
        "# Start-up",
        "",
        f"Made by `python -m benchmarks.startup --runs {options.runs}`, the commands in turn.",
        "",
        "| command | fastest, ms | median, ms |",
        "|---|---|---|",
        *(
            f"| `{name}` | {min(each):.0f} | {statistics.median(each):.0f} |"
            for name, each in times.items()
        ),
        "",
    ]
    print("\n".join(lines))
    if options.write:
        options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
