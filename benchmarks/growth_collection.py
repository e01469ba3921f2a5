"""How collection's cost grows with the environments of one process."""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.growth_turns import Contender, bars, cells, head, in_turn, three
from rlplug.distributed import choice
from rlplug.resolve import resolve
from rlplug.train.build import build
from rlplug.train.compute import compute_threads

if TYPE_CHECKING:
    from benchmarks.growth_turns import Effort

ENVIRONMENTS = (1, 8, 32, 128, 512)
STEP_SECONDS = 1e-3
"""What a step of the slow environment waits."""
KINDS: dict[str, dict[str, Any]] = {
    "cartpole": {},
    "benchmarks.sleeping:Sleeping": {"env.kwargs": {"seconds": STEP_SECONDS}},
}


class Growth(NamedTuple):
    """Seconds of a step of all environments together."""

    num_envs: int
    vector_step: float
    expected: float
    """What `--launcher auto` reckons with."""

    @property
    def rate(self) -> float:
        """Environment steps per second."""
        return self.num_envs / self.vector_step


def collecting(environment: str, num_envs: int, effort: Effort) -> Growth:
    """Of PPO's default policy, whose weights stay as they are."""
    resolved = resolve(
        "ppo",
        environment,
        preset=None,
        overrides={"launch.num_envs": num_envs, "tracking.console": "off", **KINDS[environment]},
        launcher="local",
        device="cpu",
    )
    expected = choice._local_seconds(resolved.config.launch, choice.measure(resolved))
    longest = resolved.config.train.rollout_length  # type: ignore[attr-defined]  # PPO's trainer has one
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(build(resolved, Path(folder))) as run,
        compute_threads(run.config, run.agent) as threads,
    ):
        run.collector.collect(num_envs)  # starts the episodes
        began = time.perf_counter()
        run.collector.collect(num_envs)
        guess = time.perf_counter() - began
        length = min(longest, max(1, int(effort.seconds / guess)))
        call = functools.partial(run.collector.collect, num_envs * length)
        (seconds,) = in_turn([Contender(call, threads)], effort)
    return Growth(num_envs, seconds / length, expected)


def environments(effort: Effort) -> list[str]:
    """Rows: steps per second of both environments."""
    fast, slow = ([collecting(kind, n, effort) for n in ENVIRONMENTS] for kind in KINDS)
    return [
        "CartPole:", "", *table(fast), "", about(fast), "",
        f"An environment whose step waits {STEP_SECONDS * 1e3:g} ms and needs no core "
        "(`benchmarks/sleeping.py`):", "", *table(slow), "", about(slow),
        "In one process each waits for the one before it; "
        "[workers](../how-to/workers.md) wait at the same time.",
    ]  # fmt: skip


def table(rows: list[Growth]) -> list[str]:
    """One row for each number of environments."""
    lines = head(
        "environments", "steps/s", "each environment's share, µs", "a step of all, µs",
        "`--launcher auto` reckons with, µs", "steps/s, as bars",
    )  # fmt: skip
    for row, bar in zip(rows, bars([row.rate for row in rows]), strict=True):
        share, *steps = (
            three(each * 1e6) for each in (1 / row.rate, row.vector_step, row.expected)
        )
        lines.append(cells(row.num_envs, f"{row.rate:,.0f}", share, *steps, bar))
    return lines


def about(rows: list[Growth]) -> str:
    """What is paid once for a step of all, what by each, and where the second is more."""
    one, before, last = rows[0], rows[-2], rows[-1]
    each = (last.vector_step - before.vector_step) / (last.num_envs - before.num_envs)
    once = max(0.0, one.vector_step - each)
    equal = max(1, math.ceil(once / each))
    ratios = [row.expected / row.vector_step for row in rows]
    from_there = "already at a single one" if equal == 1 else f"from {equal} on"
    return (
        f"From {one.num_envs} to {last.num_envs} environments the rate grows "
        f"{last.rate / one.rate:.1f}-fold. The last two rows say that each more environment costs "
        f"{three(each * 1e6)} µs, which leaves {three(once * 1e6)} µs of the first row for what is "
        "paid once for all (the policy's forward pass, calls into numpy). The environments "
        f"themselves are most of the time {from_there}, and then they bind. `--launcher auto` "
        "measures a single environment and multiplies; it reckons with "
        f"{min(ratios):.2f} to {max(ratios):.2f} times what a step of all took."
    )
