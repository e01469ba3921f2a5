"""Replay: transitions drawn per second and memory of each, beside three other libraries.

    python -m benchmarks.replay --write docs/results/replay.md

Every contender fills its replay in a process of its own, a peer in its own environment, and draws
when it is asked: ours, theirs, ours, theirs, round after round. No more than one peer is alive
beside ours, so that 8 GB of memory are enough. On a machine that others use too,
`--clock processor` counts the processor's seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers import ROOT, python_of, versions_of
from benchmarks.replay_work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator

FILL_LIMIT_SECONDS = 1200
DRAW_LIMIT_SECONDS = 300
WAYS = ("at once", "singly")
"""How ours draws; the others know one minibatch a call."""


class Peer(NamedTuple):
    """A library, in one of its forms."""

    name: str
    """Of its environment."""
    label: str
    lean_by: str = ""
    """The setting that gives it its lean form; empty is its plain one."""

    @property
    def title(self) -> str:
        """In the tables."""
        return f"{self.label}, {self.lean_by}" if self.lean_by else self.label


SB3 = Peer("sb3", "SB3")
SB3_LEAN = Peer("sb3", "SB3", "optimize_memory_usage")
TIANSHOU = Peer("tianshou", "Tianshou")
TIANSHOU_LEAN = Peer("tianshou", "Tianshou", "stack_num=4")
TORCHRL = Peer("torchrl", "TorchRL")
PACKAGES = {"sb3": "stable-baselines3", "tianshou": "tianshou", "torchrl": "torchrl"}


class Case(NamedTuple):
    """What is drawn, and by whom beside us."""

    name: str
    work: Work
    peers: tuple[Peer, ...]


class Options(NamedTuple):
    """How to measure."""

    rounds: int
    seconds: float
    clock: str
    threads: int
    batch_sizes: tuple[int, ...] = (32, 256)


class Contender:
    """A process that holds a full replay."""

    def __init__(self, name: str, work: Work, threads: int) -> None:
        self._name = name
        python = sys.executable if name == "ours" else python_of(name)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.replay_contender", name, json.dumps(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        self.nbytes: int = json.loads(self._answer(FILL_LIMIT_SECONDS))
        """Of all arrays."""

    def seconds(self, way: str, count: int, batch_size: int, clock: str) -> float:
        """What `count` minibatches took."""
        assert self._process.stdin is not None
        print(json.dumps([way, count, batch_size]), file=self._process.stdin, flush=True)
        spent: dict[str, float] = json.loads(self._answer(DRAW_LIMIT_SECONDS))
        return spent[clock]

    def close(self) -> None:
        """End the process, and wait until its memory is free."""
        self._process.kill()
        self._process.wait()

    def _answer(self, limit_seconds: float) -> str:
        assert self._process.stdout is not None
        watch = threading.Timer(limit_seconds, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            line = self._process.stdout.readline()
        except BaseException:
            self.close()
            raise
        finally:
            watch.cancel()
        if not line:
            self.close()
            sys.exit(f"{self._name} failed, or was silent for {limit_seconds} seconds")
        return line


@contextmanager
def contender(name: str, work: Work, threads: int) -> Iterator[Contender]:
    """A contender for as long as it is needed."""
    process = Contender(name, work, threads)
    try:
        yield process
    finally:
        process.close()


class Draws(NamedTuple):
    """Transitions per second of ours in each way, and of theirs, round by round."""

    ours: dict[str, list[float]]
    theirs: list[float]

    def ratio(self, way: str) -> float:
        """Ours to theirs: the median of the rounds."""
        return median(a / b for a, b in zip(self.ours[way], self.theirs, strict=True))


def take_turns(ours: Contender, theirs: Contender, batch_size: int, options: Options) -> Draws:
    """Rounds of equal length."""
    turns = [*((ours, way) for way in WAYS), (theirs, "singly")]
    counts = []
    for process, way in turns:
        process.seconds(way, 10, batch_size, options.clock)
        once = process.seconds(way, 10, batch_size, options.clock) / 10
        counts.append(max(10, int(options.seconds / once)))
    rates: list[list[float]] = [[] for _ in turns]
    for _ in range(options.rounds):
        for (process, way), count, measured in zip(turns, counts, rates, strict=True):
            spent = process.seconds(way, count, batch_size, options.clock)
            measured.append(count * batch_size / spent)
    return Draws(dict(zip(WAYS, rates, strict=False)), rates[-1])


class Measured(NamedTuple):
    """A case."""

    draws: dict[int, dict[Peer, Draws]]
    """By batch size."""
    nbytes: dict[Peer | None, int]
    """Of a whole replay; None is ours."""

    def our_rate(self, batch_size: int, way: str) -> float:
        """The median over all rounds, whoever else took part in them."""
        peers = self.draws[batch_size].values()
        return median(rate for draws in peers for rate in draws.ours[way])


def measure(case: Case, options: Options) -> Measured:
    """Ours beside one peer after the other."""
    measured = Measured({size: {} for size in options.batch_sizes}, {})
    with contender("ours", case.work, options.threads) as ours:
        measured.nbytes[None] = ours.nbytes
        for peer in case.peers:
            work = case.work._replace(is_lean=bool(peer.lean_by))
            with contender(peer.name, work, options.threads) as theirs:
                measured.nbytes[peer] = theirs.nbytes
                for size in options.batch_sizes:
                    measured.draws[size][peer] = take_turns(ours, theirs, size, options)
    return measured


def rows_of(case: Case, measured: Measured) -> list[str]:
    """Rows of the table of draws."""
    rows = []
    for size, by_peer in measured.draws.items():
        head = f"| {case.name}, {case.work.capacity:,} rows | {size} |"
        for way in WAYS:
            name = "ours" if way == "at once" else f"ours, {way}"
            rows.append(f"{head} {name} | {measured.our_rate(size, way):,.0f} |  |  |")
        for peer, draws in by_peer.items():
            ratios = " | ".join(f"{draws.ratio(way):.2f}" for way in WAYS)
            rows.append(f"{head} {peer.title} | {median(draws.theirs):,.0f} | {ratios} |")
    return rows


def cases(capacity: int, stack_capacity: int) -> Iterator[Case]:
    """Uniform, then prioritised."""
    vectors = Work("vectors", capacity, is_prioritized=False)
    stacks = Work("stacks", stack_capacity, is_prioritized=False)
    yield Case("vectors, uniform", vectors, (SB3, TIANSHOU))
    yield Case("Atari stacks, uniform", stacks, (SB3, SB3_LEAN, TIANSHOU, TIANSHOU_LEAN))
    for rows in (capacity // 10, capacity, capacity * 10):
        prioritized = vectors._replace(capacity=rows, is_prioritized=True)
        peers = (TORCHRL, TIANSHOU) if rows == capacity else (TORCHRL,)
        yield Case("vectors, prioritised", prioritized, peers)
    yield Case("Atari stacks, prioritised", stacks._replace(is_prioritized=True), (TIANSHOU,))


def page_head(command: str, options: Options) -> list[str]:
    """What was measured, and how."""
    peers = ", ".join(versions_of(peer, package, "torch") for peer, package in PACKAGES.items())
    return [
        "# Replay: memory and draws",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, "
        f"rlplug {version('rlplug')}, torch {version('torch')}; peers in environments of their "
        f"own: {peers}. {options.threads} thread each, ours and theirs in turn, medians over "
        f"{options.rounds} rounds"
        + (
            "; the processor's clock counts, because the machine was shared."
            if options.clock == "processor"
            else "."
        ),
        "",
        "A draw is a transition of a minibatch that is ready to learn from: observation, action, "
        "reward, end or discount, next observation; torch tensors from ours, SB3 and TorchRL, "
        'numpy arrays from Tianshou. "Singly" asks for one minibatch a call, as all others do; the '
        "loop asks for all that are due at once. Prioritised draws include writing the new "
        "priorities back; TorchRL's are made by the segment trees that it compiled.",
        "",
        "Where an episode ended, the lean forms of the others give another observation than the "
        "real final one: SB3 the first of the next episode, Tianshou the last that was acted on.",
        "",
    ]


def memory_table(measured: Measured, capacity: int) -> list[str]:
    """Bytes of a transition, all arrays counted."""
    rows = ["| Atari replay | bytes a transition |", "| --- | --- |"]
    for peer, nbytes in measured.nbytes.items():
        title = peer.title if peer else "ours, unique frames"
        rows.append(f"| {title} | {nbytes / capacity:,.0f} |")
    return [*rows, ""]


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each contender and round")
    parser.add_argument("--capacity", type=int, default=100_000, help="of replays of vectors")
    parser.add_argument("--atari-capacity", type=int, default=100_000, help="Tianshou: 56 KB each")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    parser.add_argument("--write", type=Path, help="replace this file with the tables")
    arguments = parser.parse_args()
    options = Options(arguments.rounds, arguments.seconds, arguments.clock, arguments.threads)
    asked = sys.argv[1 : sys.argv.index("--write")] if "--write" in sys.argv else sys.argv[1:]
    command = " ".join(["python -m benchmarks.replay", *asked])
    head, memory = page_head(command, options), []
    table = [
        "| case | batch | who | draws/s | ours / theirs | ours singly / theirs |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in cases(arguments.capacity, arguments.atari_capacity):
        measured = measure(case, options)
        if SB3_LEAN in case.peers:
            memory = memory_table(measured, case.work.capacity)
            print("\n".join(memory), flush=True)
        table += rows_of(case, measured)
        print("\n".join(rows_of(case, measured)), flush=True)
    if arguments.write:
        arguments.write.write_text("\n".join([*head, *memory, *table, ""]))


if __name__ == "__main__":
    main()
