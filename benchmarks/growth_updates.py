"""How an update's cost grows with the width of the network and with the batch."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch

from benchmarks.bare import Dqn as BareDqn
from benchmarks.growth_turns import Contender, bars, cells, from_where_on, head, in_turn, three
from benchmarks.work import Arithmetic
from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.data import TransitionBatch
from rlplug.nn.precision import has_bfloat16
from rlplug.protocols import AgentContext
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.train.compute import compute_threads, subnormals_as_zero

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.growth_turns import Effort

WIDTHS = (64, 128, 256, 512, 1_024, 2_048)
WIDTH_BATCH = 64
BATCHES = (32, 64, 128, 256, 512, 1_024, 2_048, 4_096)
BATCH_WIDTH = 256
IMAGE_BATCHES = (32, 64, 128, 256)
VECTOR = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
ATARI = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
NUM_ACTIONS = 2
SEVERAL = 2
"""Threads beside one."""
GAINS = 1.1
"""Times as fast, from which on a gain is called one."""
ALIKE = 0.05
"""Differences up to this share count for none."""


class Timed(NamedTuple):
    """Seconds of an update on one thread and on several, and how many `auto` takes."""

    size: int
    one: float
    several: float
    auto: int

    @property
    def chosen(self) -> float:
        """By `auto`."""
        return self.one if self.auto == 1 else self.several


def two_layers(width: int) -> dict[str, Any]:
    """The network section of an MLP."""
    return {"encoder": {"kind": "mlp", "hidden_sizes": [width]}, "hidden_sizes": [width]}


def nature_cnn(precision: str = "float32") -> dict[str, Any]:
    """That of the network for Atari."""
    return {"encoder": "nature-cnn", "hidden_sizes": [512], "precision": precision}


def agent_of(network: dict[str, Any], space: gymnasium.spaces.Box) -> DqnAgent:
    """DQN with its defaults and this network."""
    config = DqnConfig.model_validate({"network": network})
    return DqnAgent(
        config, AgentContext(space, gymnasium.spaces.Discrete(NUM_ACTIONS), 1, Seeds(0))
    )


def observations(space: gymnasium.spaces.Box, count: int) -> torch.Tensor:
    """`[count, *obs]`."""
    return torch.from_numpy(np.stack([space.sample() for _ in range(count)]))


def batch_of(space: gymnasium.spaces.Box, size: int) -> TransitionBatch:
    """Transitions that stay the same."""
    ones = torch.ones(size)
    return TransitionBatch(
        observations(space, size), torch.randint(NUM_ACTIONS, (size,)), ones, 0.99 * ones,
        observations(space, size), ones, torch.arange(size),
    )  # fmt: skip


def learn(agent: DqnAgent, batch: TransitionBatch) -> None:
    """One update, as a run makes it."""
    with subnormals_as_zero():
        agent.update(batch)


def auto_threads(agent: DqnAgent, batch_size: int) -> int:
    """What `launch.threads: auto` takes on this machine."""
    overrides = {"agent.batch_size": batch_size}
    config = resolve("dqn", "cartpole", preset=None, overrides=overrides).config
    assert config.launch.threads == "auto"
    with compute_threads(config, agent) as threads:
        return threads


def widths(effort: Effort) -> list[str]:
    """Rows: an update by width, on one thread and on several, beside bare torch."""
    rows, theirs, sizes = [], [], []
    for width in WIDTHS:
        agent, batch = agent_of(two_layers(width), VECTOR), batch_of(VECTOR, WIDTH_BATCH)
        bare = BareDqn(Arithmetic((width, width), WIDTH_BATCH, 1e-3, 1, 1, 1))
        ours = functools.partial(learn, agent, batch)
        one, several, *others = in_turn(
            [Contender(call, n) for call in (ours, bare.update) for n in (1, SEVERAL)], effort
        )
        rows.append(Timed(width, one, several, auto_threads(agent, WIDTH_BATCH)))
        theirs.append(others)
        sizes.append(sum(weight.numel() for weight in agent.policy_weights().values()))
    drawn = bars([row.one for row in rows])
    lines = head(
        "width", "parameters", "1 thread, ms", f"{SEVERAL} threads, ms", "bare, 1 thread",
        f"bare, {SEVERAL} threads", "bare / ours, 1 thread", f"bare / ours, {SEVERAL} threads",
        "`auto` takes", "1 thread, as bars",
    )  # fmt: skip
    for row, (bare_one, bare_several), size, bar in zip(rows, theirs, sizes, drawn, strict=True):
        lines.append(
            cells(
                f"{row.size:,}", f"{size:,}", *milliseconds(row.one, row.several, bare_one),
                *milliseconds(bare_several), f"{bare_one / row.one:.2f}",
                f"{bare_several / row.several:.2f}", row.auto, bar,
            )
        )  # fmt: skip
    shares = [bare[0] / row.one for row, bare in zip(rows, theirs, strict=True)]
    return [
        *lines,
        "",
        f"From {WIDTHS[0]} to {WIDTHS[-1]:,} units the parameters grow "
        f"{sizes[-1] / sizes[0]:,.0f}-fold and the update {rows[-1].one / rows[0].one:,.0f}-fold. "
        f"Bare torch takes {min(shares):.2f} to {max(shares):.2f} of our time on one thread: below "
        "1 the difference is calls, which a wide network hides; above 1 is what we save by leaving "
        "autograd out, by oneDNN on AMD's processors from Zen 5 on, and on Intel's by taking "
        "subnormal numbers for 0. " + about_threads(rows, "units"),
    ]


def about_threads(rows: Sequence[Timed], unit: str) -> str:
    """Where several threads gain, and whether `auto` takes them there."""
    gaining = from_where_on(rows, lambda row: row.one >= GAINS * row.several)
    taking = from_where_on(rows, lambda row: row.auto > 1)
    worst = max(rows, key=lambda row: row.chosen / min(row.one, row.several))
    loss = worst.chosen / min(worst.one, worst.several) - 1
    best = max(row.one / row.several for row in rows)
    gain = f"is not {GAINS - 1:.0%} faster than on one even with {rows[-1].size:,} {unit}"
    if gaining is not None:
        gain = f"is {GAINS - 1:.0%} faster than on one, or more, from {gaining.size:,} {unit} on"
    takes = "one thread at all of these sizes"
    if taking is not None:
        takes = f"several from {taking.size:,} {unit} on"
    verdict = f"Its choice was the better everywhere, or within {ALIKE:.0%} of it."
    if loss > ALIKE:
        verdict = (
            f"Its dearest choice, with {worst.size:,} {unit}, takes {loss:.0%} longer than the "
            "other would."
        )
    return (
        f"On {SEVERAL} threads an update {gain} (at most {best:.2f} times as fast); "
        f"`launch.threads: auto` takes {takes}. {verdict}"
    )


def batches(effort: Effort) -> list[str]:
    """Rows: an update by batch, of an MLP and of the Nature CNN."""
    agent = agent_of(two_layers(BATCH_WIDTH), VECTOR)
    rows = []
    for size in BATCHES:
        call = functools.partial(learn, agent, batch_of(VECTOR, size))
        one, several = in_turn([Contender(call, n) for n in (1, SEVERAL)], effort)
        rows.append(Timed(size, one, several, auto_threads(agent, size)))
    drawn = bars([row.one / row.size for row in rows])
    lines = head(
        "batch", "1 thread, ms", f"{SEVERAL} threads, ms", "1 thread, µs a sample",
        f"{SEVERAL} threads, µs a sample", "µs a sample, as bars",
    )  # fmt: skip
    for row, bar in zip(rows, drawn, strict=True):
        each = [three(seconds / row.size * 1e6) for seconds in (row.one, row.several)]
        lines.append(cells(f"{row.size:,}", *milliseconds(row.one, row.several), *each, bar))
    first, last = rows[0], rows[-1]
    half = from_where_on(rows, lambda row: row.one / row.size <= first.one / first.size / 2)
    halved = "" if half is None else f"; from {half.size:,} on it costs half of the first or less"
    return [
        f"MLP {BATCH_WIDTH}-{BATCH_WIDTH}:",
        "",
        *lines,
        "",
        f"A sample costs {three(first.one / first.size * 1e6)} µs at batch {first.size} and "
        f"{three(last.one / last.size * 1e6)} µs at {last.size:,}, on one thread{halved}: what an "
        "update costs whatever its batch (calls, the optimizer's step) is shared by more. "
        + about_threads(rows, "samples"),
        "",
        *image_batches(effort),
    ]


def image_batches(effort: Effort) -> list[str]:
    """Rows: an update of the Nature CNN by batch, in both precisions."""
    full, half = (agent_of(nature_cnn(name), ATARI) for name in ("float32", "bfloat16"))
    rows, halves = [], []
    for size in IMAGE_BATCHES:
        batch = batch_of(ATARI, size)
        calls = [functools.partial(learn, agent, batch) for agent in (full, half)]
        one, several, *others = in_turn(
            [Contender(call, n) for call in calls for n in (1, SEVERAL)], effort
        )
        rows.append(Timed(size, one, several, auto_threads(full, size)))
        halves.append(others)
    lines = head(
        "batch", "float32, 1 thread, ms", f"float32, {SEVERAL} threads", "bfloat16, 1 thread",
        f"bfloat16, {SEVERAL} threads", "float32, 1 thread, µs a sample",
        "float32 / bfloat16, 1 thread",
    )  # fmt: skip
    for row, others in zip(rows, halves, strict=True):
        times = milliseconds(row.one, row.several, *others)
        each, ratio = three(row.one / row.size * 1e6), f"{row.one / others[0]:.2f}"
        lines.append(cells(row.size, *times, each, ratio))
    ratios = [row.one / others[0] for row, others in zip(rows, halves, strict=True)]
    by_itself = "multiplies" if has_bfloat16("cpu") else "does not multiply"
    first, last = rows[0], rows[-1]
    return [
        "Nature CNN, four frames of 84 × 84:",
        "",
        *lines,
        "",
        f"This processor {by_itself} bfloat16 by itself, which makes an update {min(ratios):.2f} "
        f"to {max(ratios):.2f} times as fast. A sample in float32 costs "
        f"{three(first.one / first.size * 1e6)} µs at batch {first.size} and "
        f"{three(last.one / last.size * 1e6)} µs at {last.size}, on one thread: a "
        "convolution works on each sample by itself, and little is shared. "
        + about_threads(rows, "samples"),
    ]


def milliseconds(*seconds: float) -> list[str]:
    """For a table."""
    return [three(each * 1e3) for each in seconds]
