"""How cost grows: with environments, transitions, width, frames and batch, and what binds then.

    python -m benchmarks.growth [--only SECTION ...] [--write docs/results/growth.md]

A figure is the median of several turns of wall time, so that nothing else should run meanwhile;
what is compared takes turns in one process. All sections together take some five minutes.
"""

from __future__ import annotations

import argparse
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from benchmarks.growth_choices import choices
from benchmarks.growth_collection import environments
from benchmarks.growth_replay import BATCH_SIZE, frames, transitions
from benchmarks.growth_turns import BLOCKS_OF_A_DOUBLING, Effort
from benchmarks.growth_updates import WIDTH_BATCH, batches, widths
from rlplug.distributed.session import usable_cores
from rlplug.train.compute import keep_freed_memory, start_threads

if TYPE_CHECKING:
    from collections.abc import Callable


class Section(NamedTuple):
    """A part of the page."""

    title: str
    about: str
    measure: Callable[[Effort], list[str]]


def no_lines(_: Effort) -> list[str]:
    """Nothing is measured."""
    return []


SECTIONS = {
    "environments": Section(
        "Environments in one process",
        "Environment steps per second of collection alone, by PPO's default policy, with the local "
        "launcher.",
        environments,
    ),
    "replay": Section(
        "Transitions in the replay",
        f"Microseconds to draw a minibatch of {BATCH_SIZE} from a full replay; a prioritised draw "
        "includes writing its priorities back. One thread.",
        transitions,
    ),
    "width": Section(
        "Width of the network",
        f"A DQN update at batch {WIDTH_BATCH}: two hidden layers of this width, four inputs, two "
        "actions. Bare torch does the same arithmetic: two forward passes, backward, fused Adam. "
        "`auto` is `launch.threads: auto`.",
        widths,
    ),
    "workers": Section(
        "Workers",
        "[Workers](workers.md) has environment steps per second by 1, 2, 4 and 8 of them.",
        no_lines,
    ),
    "frames": Section(
        "Frames of an observation",
        f"Stacks of frames of 84 × 84 bytes: the replay, and the Nature CNN's forward pass for "
        f"{BATCH_SIZE} of them in float32, on one thread.",
        frames,
    ),
    "batch": Section("Batch", "A DQN update by the size of its minibatch.", batches),
    "choices": Section(
        "Where the defaults change their mind",
        "Thresholds as they stand in the code.",
        choices,
    ),
}


def introduction(only: list[str], effort: Effort) -> list[str]:
    """What made the page, and on what."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("rlplug", "torch", "numpy"))
    command = f"python -m benchmarks.growth --turns {effort.turns} --seconds {effort.seconds:g}"
    command += f" --only {' '.join(only)}" if only else ""
    return [
        "# How cost grows",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, "
        f"{versions}, gymnasium {version('gymnasium')}; {usable_cores()} processor cores "
        f"({torch.backends.cpu.get_cpu_capability()}). Wall time, medians of {effort.turns} turns; "
        "trust the shapes and the ratios more than the figures. The bars' scale is logarithmic: "
        f"{BLOCKS_OF_A_DOUBLING} blocks are a doubling.",
        "",
    ]


def main() -> None:
    """Measure what is asked, print it section by section, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[], metavar="SECTION")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25, help="of each figure in each turn")
    parser.add_argument("--write", type=Path, help="replace this file with the page")
    options = parser.parse_args()
    start_threads()
    torch.set_num_threads(1)
    keep_freed_memory()
    effort = Effort(options.turns, options.seconds)
    lines = introduction(options.only, effort)
    print("\n".join(lines), flush=True)
    for name, section in SECTIONS.items():
        if not options.only or name in options.only:
            part = [f"## {section.title}", "", section.about, ""]
            if measured := section.measure(effort):
                part += [*measured, ""]
            print("\n".join(part), flush=True)
            lines += part
    if options.write:
        options.write.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
