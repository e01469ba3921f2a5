"""How the replay's cost grows with its transitions and with the frames of an observation."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gymnasium
import numpy as np
import torch

from benchmarks.growth_turns import Contender, bars, cells, head, in_turn, three
from benchmarks.growth_updates import ATARI, VECTOR, agent_of, nature_cnn, observations
from rlplug.data import Rollout
from rlplug.replay.config import PrioritizedSampler, ReplayConfig
from rlplug.replay.n_step import NStep
from rlplug.replay.samplers import Uniform
from rlplug.replay.transitions import TransitionReplay, build_replay
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from benchmarks.growth_turns import Effort
    from rlplug.data import Array

EPISODE_LENGTH = 200
BATCH_SIZE = 32
AT_ONCE = 32
"""Minibatches that a loop asks for together, where it updates so many times an iteration."""
VECTORS = (10_000, 100_000, 1_000_000)
STACKS = (10_000, 100_000)
DEPTHS = (1, 2, 4, 8)
DEPTH_ROWS = 10_000
PLACES = ("memory", "disk")
MEBIBYTE = 1 << 20


class Measured(NamedTuple):
    """A full replay: its size, and seconds of a draw."""

    rows: int
    storage: str
    in_memory: int
    in_files: int
    tree: int
    """Bytes of the priorities, where there are any; the others are of the rows alone."""
    together: float
    singly: float
    prioritized: float


def stacks_of(depth: int) -> gymnasium.spaces.Box:
    """So many of Atari's frames."""
    return gymnasium.spaces.Box(0, 255, (depth, *ATARI.shape[1:]), np.uint8)


def episode(space: gymnasium.spaces.Box) -> Array:
    """`[L + 1, *obs]` with the final observation; stacks move on by a frame a step."""
    rng = np.random.default_rng(0)
    if space is VECTOR:
        return rng.random((EPISODE_LENGTH + 1, *space.shape), dtype=np.float32)
    depth, *size = space.shape
    frames = rng.integers(256, size=(EPISODE_LENGTH + 1, *size), dtype=np.uint8)
    frames = np.concatenate((np.repeat(frames[:1], depth - 1, axis=0), frames))
    windows = np.lib.stride_tricks.sliding_window_view(frames, depth, axis=0)
    return np.ascontiguousarray(windows.transpose(0, 3, 1, 2))


def rollout_of(shown: Array) -> Rollout:
    """The episode as one environment's."""
    over = (np.arange(EPISODE_LENGTH) == EPISODE_LENGTH - 1)[:, None]
    return Rollout(
        observation=shown[:-1, None],
        action=np.zeros(over.shape, np.int64),
        reward=np.ones(over.shape, np.float32),
        terminated=over,
        episode_over=over,
        valid=np.ones_like(over),
        extras={},
        next_observation=shown[:1],
        final_steps=np.argwhere(over),
        final_observation=shown[-1:],
        streams=np.arange(1),
        weights_version=0,
        env_steps=0,
        episodes=(),
    )


def filled(space: gymnasium.spaces.Box, rows: int, storage: str, folder: Path) -> TransitionReplay:
    """A full prioritised replay."""
    config = ReplayConfig.model_validate(
        {"capacity": rows, "storage": storage, "sampler": PrioritizedSampler()}
    )
    replay = build_replay(
        config,
        observation_space=space,
        action_space=gymnasium.spaces.Discrete(4),
        num_streams=1,
        total_env_steps=1,
        seeds=Seeds(0),
        device="cpu",
        directory=folder,
    )
    rollout = rollout_of(episode(space))
    for _ in range(-(-rows // EPISODE_LENGTH)):
        replay.add(rollout)
    return replay


def uniformly(replay: TransitionReplay) -> TransitionReplay:
    """Draws from the same rows, each as likely as any other."""
    config = ReplayConfig()
    n_step = NStep(config.gamma, config.n_step, config.reward)
    twin = TransitionReplay(replay.storage, Uniform(np.random.default_rng(0)), n_step)
    twin.cut(np.empty(0, np.int64))  # ends nothing, and tells the sampler what there is
    return twin


def draw(replay: TransitionReplay, at_once: int) -> None:
    """Minibatches as a loop asks for them, with priorities for those that want some."""
    priorities = torch.ones(BATCH_SIZE)
    for _ in range(AT_ONCE // at_once):
        for batch in replay.minibatches(at_once, BATCH_SIZE):
            replay.update_priorities(batch.replay_index, priorities)


def measured(
    space: gymnasium.spaces.Box, rows: int, effort: Effort, places: tuple[str, ...] = PLACES
) -> list[Measured]:
    """One size in each place, the draws of all in turn."""
    with tempfile.TemporaryDirectory() as folder:
        replays = [filled(space, rows, place, Path(folder)) for place in places]
        twins = [uniformly(replay) for replay in replays]
        calls = [
            functools.partial(draw, *how)
            for twin, replay in zip(twins, replays, strict=True)
            for how in ((twin, AT_ONCE), (twin, 1), (replay, AT_ONCE))
        ]
        seconds = iter(in_turn([*map(Contender, calls)], effort))
        in_files = sum(file.stat().st_size for file in Path(folder).iterdir())
    found = []
    for place, twin, replay in zip(places, twins, replays, strict=True):
        filed = in_files if place == "disk" else 0
        # the headers of the files are the few bytes that the replay does not count
        sizes = (max(0, twin.nbytes - filed), filed, replay.nbytes - twin.nbytes)
        times = [next(seconds) / AT_ONCE for _ in range(3)]
        found.append(Measured(rows, place, *sizes, *times))
    return found


def transitions(effort: Effort) -> list[str]:
    """Rows: memory and draws by the number of transitions, of vectors and of stacks."""
    vectors = [row for n in VECTORS for row in measured(VECTOR, n, effort)]
    stacks = [row for n in STACKS for row in measured(ATARI, n, effort)]
    return [
        "Vectors of four floats:", "", *table(vectors), "", about(vectors), "",
        "Stacks of four frames of 84 × 84, each frame kept once:", "", *table(stacks), "",
        about(stacks),
    ]  # fmt: skip


def table(rows: list[Measured]) -> list[str]:
    """Sizes, then microseconds."""
    lines = head(
        "transitions", "`replay.storage`", "MiB in memory", "MiB in files", "priorities, MiB more",
        "bytes a transition", f"uniform, {AT_ONCE} at once, µs a draw", "uniform, one at a time",
        "prioritised", "prioritised, as bars",
    )  # fmt: skip
    for row, bar in zip(rows, bars([row.prioritized for row in rows]), strict=True):
        sizes = [f"{size / MEBIBYTE:,.1f}" for size in (row.in_memory, row.in_files, row.tree)]
        times = [three(each * 1e6) for each in (row.together, row.singly, row.prioritized)]
        each = f"{(row.in_memory + row.in_files) / row.rows:,.0f}"
        lines.append(cells(f"{row.rows:,}", row.storage, *sizes, each, *times, bar))
    return lines


def about(rows: list[Measured]) -> str:
    """What grows, and what the file costs."""
    here, there = ([row for row in rows if row.storage == place] for place in PLACES)
    first, last = here[0], here[-1]
    slower = [
        getattr(file, how) / getattr(memory, how)
        for memory, file in zip(here, there, strict=True)
        for how in ("together", "singly", "prioritized")
    ]
    left = there[-1].in_memory / last.in_memory
    return (
        f"With {last.rows / first.rows:.0f} times the transitions in memory, a uniform draw takes "
        f"{last.singly / first.singly:.2f} times as long (of {AT_ONCE} at once "
        f"{last.together / first.together:.2f}), and a prioritised one "
        f"{last.prioritized / first.prioritized:.2f} times: of a larger replay less is in the "
        "processor's caches. Memory takes "
        f"{last.in_memory / first.in_memory:.0f} times as much. From files, "
        "which the system keeps in its memory as long as there is room, a draw takes "
        f"{min(slower):.2f} to {max(slower):.2f} times as long, and {left:.1%} of the bytes remain "
        "in the process's own."
    )


def frames(effort: Effort) -> list[str]:
    """Rows: memory, draws and the network's forward pass by the frames of an observation."""
    rows, passes = [], []
    for depth in DEPTHS:
        space = stacks_of(depth)
        rows += measured(space, DEPTH_ROWS, effort, ("memory",))
        network, batch = agent_of(nature_cnn(), space).online, observations(space, BATCH_SIZE)
        with torch.no_grad():
            (seconds,) = in_turn([Contender(functools.partial(network, batch))], effort)
        passes.append(seconds)
    drawn = bars([row.singly for row in rows])
    lines = head(
        "frames", "bytes a transition", "the stack itself, bytes", "uniform draw, µs",
        "prioritised, µs", f"forward pass of {BATCH_SIZE}, ms", "uniform draw, as bars",
    )  # fmt: skip
    for depth, row, forward, bar in zip(DEPTHS, rows, passes, drawn, strict=True):
        each, stack = row.in_memory / row.rows, np.prod(stacks_of(depth).shape)
        times = [three(seconds * 1e6) for seconds in (row.singly, row.prioritized)]
        lines.append(cells(depth, f"{each:,.0f}", f"{stack:,}", *times, three(forward * 1e3), bar))
    first, last, by = rows[0], rows[-1], DEPTHS[-1] / DEPTHS[0]
    return [
        *lines,
        "",
        f"{by:.0f} times the frames take {last.in_memory / first.in_memory:.2f} times the memory, "
        "because a frame is kept once however many stacks it is in. A draw has to copy all of "
        f"them, twice, and takes {last.singly / first.singly:.1f} times as long; the forward "
        f"pass, of which the frames reach the first convolution alone, "
        f"{passes[-1] / passes[0]:.2f} times. A uniform draw is "
        f"{first.singly / passes[0]:.1%} of a forward pass at {DEPTHS[0]} frame and "
        f"{last.singly / passes[-1]:.1%} at {DEPTHS[-1]}.",
    ]
