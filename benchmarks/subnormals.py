"""What taking subnormal numbers for 0 gains: `python -m benchmarks.subnormals`.

Prints the table of docs/decisions/0035-subnormals-are-zero.md: a DQN update of an MLP on CartPole
after so many others, each way in processes of its own, in turn; medians of milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import gymnasium
import torch

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.data import TransitionBatch
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds
from rlplug.train.compute import subnormals_as_zero

SIZES = {"256-256": (256, 64), "512-512": (512, 32)}
"""Units of two hidden layers, and rows of a minibatch."""
MARKS = (100, 1_000, 3_000)
TIMED, TURNS = 100, 3
LIMIT_SECONDS = 300
_SMALLEST = 1.1754944e-38


class Figures(NamedTuple):
    """Of one process, at each mark."""

    milliseconds: list[float]
    """Of an update: the median of so many before the mark."""
    subnormal: list[float]
    """Share of Adam's first averages that is below the smallest normal number, and not 0."""


def batch_of(size: int, generator: torch.Generator) -> TransitionBatch:
    """What CartPole shows: four numbers, each around 0."""
    before, after = 0.2 * torch.randn(2, size, 4, generator=generator)
    action = torch.randint(2, (size,), generator=generator)
    return TransitionBatch(
        before, action, torch.ones(size), torch.full((size,), 0.99), after, torch.ones(size), None
    )


def measure(name: str, way: str) -> Figures:
    """In this process."""
    units, rows = SIZES[name]
    network = {"encoder": {"kind": "mlp", "hidden_sizes": [units]}, "hidden_sizes": [units]}
    space, actions = gymnasium.spaces.Box(-1, 1, (4,)), gymnasium.spaces.Discrete(2)
    figures = Figures([], [])
    with subnormals_as_zero() if way == "zero" else contextlib.nullcontext():
        torch.set_num_threads(1)
        config = DqnConfig.model_validate({"network": network})
        agent = DqnAgent(config, AgentContext(space, actions, 1, Seeds(0)))
        generator, taken = torch.Generator().manual_seed(0), []
        for number in range(1, MARKS[-1] + 1):
            batch = batch_of(rows, generator)
            began = time.perf_counter()
            agent.update(batch)
            taken.append(time.perf_counter() - began)
            if number in MARKS:
                figures.milliseconds.append(statistics.median(taken[-TIMED:]) * 1e3)
                figures.subnormal.append(_subnormal(agent))
    return figures


def _subnormal(agent: DqnAgent) -> float:
    moments = agent.optimizer.state_dict()["moments"].values()
    averages = torch.cat([one["exp_avg"].reshape(-1) for one in moments])
    bits = averages.view(torch.int32) & 0x7FFFFFFF  # its size, whatever comparisons make of it
    limit = int(torch.tensor(_SMALLEST).view(torch.int32))
    return ((bits > 0) & (bits < limit)).double().mean().item()


def main() -> None:
    """Print the table."""
    print("| hidden layers | updates made | as they are, ms | subnormal | as zero, ms | ratio |")
    print("|---|---|---|---|---|---|")
    for name in SIZES:
        runs: dict[str, list[Figures]] = {"as it is": [], "zero": []}
        for _ in range(TURNS):
            for way, figures in runs.items():
                command = [sys.executable, "-m", "benchmarks.subnormals", name, way]
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS
                )
                figures.append(Figures(*json.loads(done.stdout)))
        for at, mark in enumerate(MARKS):
            plain, zero = (
                statistics.median(one.milliseconds[at] for one in figures)
                for figures in runs.values()
            )
            share = statistics.median(one.subnormal[at] for one in runs["as it is"])
            print(
                f"| {name} | {mark:,} | {plain:.2f} | {share:.0%} | {zero:.2f} | "
                f"{zero / plain:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
