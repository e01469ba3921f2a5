"""What `agent.network.compile` gains: `python -m benchmarks.compilation [--device cuda]`.

Prints the table of docs/decisions/0036-compiled-networks.md: whole DQN updates as they are and with
compiled networks, in turn on one thread, in milliseconds, and seconds until the first update.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import torch

from benchmarks.bare import wait
from benchmarks.precision import WORK, Work, agent_of, batch_of
from rlplug.data import TransitionBatch

if TYPE_CHECKING:
    from rlplug.algorithms.dqn.agent import DqnAgent

TURNS, SECONDS = 7, 0.5


def milliseconds(agent: DqnAgent, batch: TransitionBatch, device: str) -> float:
    """Of an update, in a stretch of them that ends when the device has."""
    updates, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        agent.update(batch)
        updates += 1
    wait(device)
    return (time.perf_counter() - begin) / updates * 1e3


def row(work: Work, precision: str, device: str) -> list[float]:
    """Milliseconds of an update as it is and compiled, and seconds of the first compiled one."""
    batch = TransitionBatch(*(part.to(device) for part in batch_of(work)))
    plain, compiled = (
        agent_of(work, precision, device=device, is_compiled=each) for each in (False, True)
    )
    plain.update(batch)
    wait(device)
    begin = time.perf_counter()
    compiled.update(batch)
    wait(device)
    first = time.perf_counter() - begin
    turns = [
        (milliseconds(plain, batch, device), milliseconds(compiled, batch, device))
        for _ in range(TURNS)
    ]
    return [*(statistics.median(each) for each in zip(*turns, strict=True)), first]


def main() -> None:
    """Measure each network in both precisions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compilation", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    print("| network, batch | precision | as it is, ms | compiled, ms | ratio | first update, s |")
    print("|---|---|---|---|---|---|")
    for name, work in WORK.items():
        for precision in ("float32", "bfloat16"):
            plain, compiled, first = row(work, precision, device)
            print(
                f"| {name} | {precision} | {plain:.2f} | {compiled:.2f} | {plain / compiled:.2f} | "
                f"{first:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
