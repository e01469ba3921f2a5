"""Where the automatic choices change, read from the code that makes them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING
from unittest import mock

from benchmarks.growth_turns import cells, head, three
from benchmarks.growth_updates import BATCH_WIDTH, NUM_ACTIONS, VECTOR, WIDTH_BATCH
from rlplug.distributed import choice
from rlplug.distributed.session import usable_cores
from rlplug.nn import linear, optimizer
from rlplug.nn.precision import has_bfloat16
from rlplug.resolve import resolve
from rlplug.train import compute

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.growth_turns import Effort

NUM_ENVS = 8
"""Of the runs for which a launcher is chosen."""
_QUICKEST, _SLOWEST = 1e-7, 10.0
"""Seconds of a step between which the launcher's change is looked for."""


def smallest(is_so: Callable[[int], bool]) -> int:
    """The first size of which it is so."""
    return next(size for size in itertools.count(1) if is_so(size))


def parameters(width: int) -> int:
    """Of an MLP with two hidden layers for CartPole."""
    sizes = (*VECTOR.shape, width, width, NUM_ACTIONS)
    return sum((i + 1) * o for i, o in itertools.pairwise(sizes))


def ray_from(algorithm: str, *, waits: bool) -> float | None:
    """Seconds of a step from which on `--launcher auto --workers auto` takes Ray."""
    resolved = resolve(
        algorithm, "cartpole", preset=None, overrides={"launch.num_envs": NUM_ENVS},
        launcher="auto", workers="auto",
    )  # fmt: skip

    def is_ray(seconds: float) -> bool:
        cost = choice.StepCost(seconds, 0.0 if waits else seconds)
        with mock.patch.object(choice, "measure", return_value=cost):
            settled, _ = choice.settle(resolved)
        return settled.config.launch.launcher == "ray"

    low, high = _QUICKEST, _SLOWEST
    if not is_ray(high):
        return None
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_ray(middle) else (middle, high)
    return high


def launcher_line(algorithm: str) -> str:
    """Where it changes for the defaults of one algorithm."""
    texts = []
    for waits, how in ((False, "computes"), (True, "waits")):
        seconds = ray_from(algorithm, waits=waits)
        at = "never" if seconds is None else f"from {three(seconds * 1e6)} µs on"
        texts.append(f"{at} where a step {how}")
    return f"`{algorithm}` {', '.join(texts)}"


def threads_row(small: int, large: int) -> str:
    """How many threads compute."""
    two, all_cores = (
        smallest(lambda width, size=size: WIDTH_BATCH * parameters(width) >= size)
        for size in (small, large)
    )
    return cells(
        "`launch.threads: auto`",
        f"weights · batch size below {small:,}: one thread; from {large:,} on: as many as cores; "
        "two between",
        f"at batch {WIDTH_BATCH}, two from hidden layers of {two:,} units on, as many as cores "
        f"from {all_cores:,} on",
    )


def choices(_: Effort) -> list[str]:
    """Rows: each choice, its threshold, and what that means for networks such as these."""
    flat = optimizer._MAX_FLAT
    products = linear._MIN_PRODUCTS
    wide = smallest(lambda width: WIDTH_BATCH * width**2 >= products)
    many = smallest(lambda rows: rows * BATCH_WIDTH**2 >= products)
    takes = "is" if linear._TAKES_ONEDNN else "is not"
    half = "does" if has_bfloat16("cpu") else "does not"
    flat_to = smallest(lambda width: parameters(width) > flat) - 1
    launchers = "; ".join(map(launcher_line, ("ppo", "dqn")))
    step = choice.measure(resolve("ppo", "cartpole", preset=None)).wall
    precision = resolve("dqn", "cartpole", preset=None).config.agent.network.precision  # type: ignore[attr-defined]  # DQN's agent has one
    return [
        *head("choice", "changes", "that is"),
        threads_row(compute.SMALL_UPDATE, compute.LARGE_UPDATE),
        cells(
            "one vector of all parameters",
            f"up to {flat:,} of them; more stay tensors of their own",
            f"two hidden layers of up to {flat_to:,} units",
        ),
        cells(
            "products by oneDNN",
            f"rows · inputs · outputs of {products:,} or more, in float32, where AVX-512 is wider "
            f"than what MKL takes: AMD's processors from Zen 5 on (this {takes} one)",
            f"at batch {WIDTH_BATCH} a layer of {wide:,} × {wide:,} units; of {BATCH_WIDTH} × "
            f"{BATCH_WIDTH}, batch {many:,}",
        ),
        cells(
            f"`agent.network.precision: auto` (the default is `{precision}`)",
            "bfloat16 where the network has convolutions and the processor multiplies bfloat16 by "
            "itself, whatever the batch",
            f"this one {half}",
        ),
        cells(
            "`--launcher auto --workers auto`",
            f"Ray's workers where a step of all {NUM_ENVS} environments is estimated at less than "
            f"{choice._CLEARLY:.0%} of the time here, with {usable_cores()} cores",
            f"with their defaults, {launchers}; a step of CartPole measured {three(step * 1e6)} µs",
        ),
        cells(
            "`evaluate.where: auto`",
            "in a process of its own where Ray steps the environments, else inline",
            "follows the launcher",
        ),
        cells(
            "`replay.frame_stack: auto`",
            "each frame once where the images of the first rollout are the ones before, moved on "
            "by one",
            "a single frame is kept whole",
        ),
        "",
        "The curves above show how these thresholds fit the machine that they were drawn on.",
    ]
