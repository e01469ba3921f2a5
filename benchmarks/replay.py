"""Replay: transitions drawn per second and memory of each, beside Stable-Baselines3 and TorchRL.

    python -m benchmarks.replay

Contenders run in turn, round after round, in one process; a figure is the median of the rounds.
Prioritised draws include writing the priorities back. TorchRL is left out where it is not
installed. On a machine that others use too, `--clock processor` counts the processor's seconds.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch

from rlplug.data import Rollout
from rlplug.replay.config import PrioritizedSampler, ReplayConfig
from rlplug.replay.transitions import TransitionReplay, build_replay
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rlplug.data import Array

VECTOR = gymnasium.spaces.Box(-1, 1, (4,))
ATARI = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = gymnasium.spaces.Discrete(4)
EPISODE_LENGTH = 200


class Case(NamedTuple):
    """What is drawn, and by whom."""

    name: str
    batch_size: int
    contenders: dict[str, Callable[[int, int], None]]
    """Each draws (count, batch size) when called."""


def episodes(space: gymnasium.spaces.Box, num_steps: int) -> Iterator[tuple[Array, Array]]:
    """Episodes of observations `[L, *obs]` with the final one, `num_steps` in total."""
    rng = np.random.default_rng(0)
    for _ in range(-(-num_steps // EPISODE_LENGTH)):
        if space is VECTOR:
            shown = rng.random((EPISODE_LENGTH + 1, 4), dtype=np.float32)
        else:
            screens = rng.integers(256, size=(EPISODE_LENGTH + 1, 84, 84), dtype=np.uint8)
            screens = np.concatenate((np.repeat(screens[:1], 3, axis=0), screens))
            windows = np.lib.stride_tricks.sliding_window_view(screens, 4, axis=0)
            shown = np.ascontiguousarray(windows.transpose(0, 3, 1, 2))
        yield shown[:-1], shown[-1:]


def our_replay(space: gymnasium.spaces.Box, capacity: int, **settings: Any) -> TransitionReplay:
    """A full replay of ours."""
    replay = build_replay(
        ReplayConfig(capacity=capacity, **settings),
        observation_space=space,
        action_space=ACTIONS,
        num_streams=1,
        total_env_steps=1_000_000,
        seeds=Seeds(0),
        device="cpu",
        directory=None,
    )
    over = (np.arange(EPISODE_LENGTH) == EPISODE_LENGTH - 1)[:, None]
    for observation, final in episodes(space, capacity):
        replay.add(
            Rollout(
                observation=observation[:, None],
                action=np.zeros(over.shape, np.int64),
                reward=np.ones(over.shape, np.float32),
                terminated=over,
                episode_over=over,
                valid=np.ones_like(over),
                extras={},
                next_observation=observation[:1],
                final_steps=np.argwhere(over),
                final_observation=final,
                streams=np.arange(1),
                weights_version=0,
                env_steps=0,
                episodes=(),
            )
        )
    return replay


def sb3_buffer(space: gymnasium.spaces.Box, capacity: int, **settings: Any) -> Any:
    """A full buffer of Stable-Baselines3."""
    from stable_baselines3.common.buffers import ReplayBuffer

    buffer = ReplayBuffer(capacity, space, ACTIONS, device="cpu", **settings)
    for observation, final in episodes(space, capacity):
        following = np.concatenate((observation[1:], final))
        for t in range(EPISODE_LENGTH):
            buffer.add(
                observation[t],
                following[t],
                np.zeros(1),
                np.ones(1),
                np.array([t == EPISODE_LENGTH - 1]),
                [{}],
            )
    return buffer


def torchrl_buffer(capacity: int, batch_size: int) -> Any:
    """A full prioritised buffer of TorchRL with its compiled tree; None where there is none."""
    flags = sys.getdlopenflags()
    # a wheel made for another torch misses symbols that its tree does not use: bind when called
    sys.setdlopenflags(os.RTLD_LAZY)
    try:
        from tensordict import TensorDict
        from torchrl.data import LazyTensorStorage, TensorDictPrioritizedReplayBuffer
    except ImportError:
        return None
    finally:
        sys.setdlopenflags(flags)
    buffer = TensorDictPrioritizedReplayBuffer(
        alpha=0.6, beta=0.4, storage=LazyTensorStorage(capacity), batch_size=batch_size
    )
    for observation, final in episodes(VECTOR, capacity):
        size = [len(observation)]
        following = {
            "observation": torch.from_numpy(np.concatenate((observation[1:], final))),
            "reward": torch.ones(size),
            "done": torch.zeros(size, dtype=torch.bool),
        }
        rows = {"observation": torch.from_numpy(observation), "next": following}
        action = torch.zeros(size, dtype=torch.int64)
        buffer.extend(TensorDict({**rows, "action": action}, batch_size=size))
    return buffer


def draw_ours(replay: TransitionReplay) -> Callable[[int, int], None]:
    """Minibatches for many updates at once, priorities back after each."""

    def draw(count: int, batch_size: int) -> None:
        priorities = torch.rand(batch_size)
        for batch in replay.minibatches(count, batch_size):
            replay.update_priorities(batch.replay_index, priorities)

    return draw


def draw_ours_singly(replay: TransitionReplay) -> Callable[[int, int], None]:
    """One minibatch for one update."""

    def draw(count: int, batch_size: int) -> None:
        for _ in range(count):
            next(iter(replay.minibatches(1, batch_size)))

    return draw


def draw_sb3(buffer: Any) -> Callable[[int, int], None]:
    """Its only way: one minibatch a call."""

    def draw(count: int, batch_size: int) -> None:
        for _ in range(count):
            buffer.sample(batch_size)

    return draw


def draw_torchrl(buffer: Any) -> Callable[[int, int], None]:
    """One minibatch a call, priorities back after each."""

    def draw(count: int, batch_size: int) -> None:
        priorities = torch.rand(batch_size)
        for _ in range(count):
            batch = buffer.sample()
            batch["td_error"] = priorities
            buffer.update_tensordict_priority(batch)

    return draw


def uniform_cases(capacity: int, atari_capacity: int) -> Iterator[Case]:
    """Vectors, then screens; contenders of one kind are in memory together."""
    for name, space, rows, batch_sizes in (
        ("vectors, uniform", VECTOR, capacity, (32, 64, 256)),
        ("Atari stacks, uniform", ATARI, atari_capacity, (32, 256)),
    ):
        ours, theirs = our_replay(space, rows), sb3_buffer(space, rows)
        contenders = {
            "ours": draw_ours(ours),
            "ours, singly": draw_ours_singly(ours),
            "SB3": draw_sb3(theirs),
        }
        for batch_size in batch_sizes:
            yield Case(f"{name}, {rows:,} rows", batch_size, contenders)


def prioritized_cases() -> Iterator[Case]:
    """Vectors at three capacities."""
    for rows in (10_000, 100_000, 1_000_000):
        ours = our_replay(VECTOR, rows, sampler=PrioritizedSampler())
        for batch_size in (32, 256):
            contenders = {"ours": draw_ours(ours)}
            theirs = torchrl_buffer(rows, batch_size)
            if theirs is not None:
                contenders["TorchRL"] = draw_torchrl(theirs)
            yield Case(f"vectors, prioritised, {rows:,} rows", batch_size, contenders)


def rates(case: Case, rounds: int, seconds: float, clock: Callable[[], float]) -> dict[str, float]:
    """Draws per second of each contender: the median of rounds in which they take turns."""
    measured: dict[str, list[float]] = {name: [] for name in case.contenders}
    counts = dict.fromkeys(case.contenders, 10)
    for name, draw in case.contenders.items():
        draw(counts[name], case.batch_size)
        started = clock()
        draw(counts[name], case.batch_size)
        counts[name] = max(10, int(10 * seconds / (clock() - started)))
    for _ in range(rounds):
        for name, draw in case.contenders.items():
            started = clock()
            draw(counts[name], case.batch_size)
            spent = clock() - started
            measured[name].append(counts[name] * case.batch_size / spent)
    return {name: median(values) for name, values in measured.items()}


def print_rates(
    cases: Iterator[Case], rounds: int, seconds: float, clock: Callable[[], float]
) -> None:
    """A row for each case and contender."""
    print("| case | batch | who | draws/s | ours / theirs |")
    print("| --- | --- | --- | --- | --- |")
    for case in cases:
        result = rates(case, rounds, seconds, clock)
        for name, rate in result.items():
            ratio = "" if name.startswith("ours") else f"{result['ours'] / rate:.1f}"
            print(
                f"| {case.name} | {case.batch_size} | {name} | {rate:,.0f} | {ratio} |", flush=True
            )


def print_memory(capacity: int) -> None:
    """Bytes of all arrays for each Atari transition; allocated, and not yet filled."""
    from stable_baselines3.common.buffers import ReplayBuffer

    def sb3_bytes(**settings: Any) -> int:
        buffer = ReplayBuffer(capacity, ATARI, ACTIONS, device="cpu", **settings)
        return sum(a.nbytes for a in vars(buffer).values() if isinstance(a, np.ndarray))

    lean = {"optimize_memory_usage": True, "handle_timeout_termination": False}
    figures = {
        "ours, unique frames": our_replay(ATARI, capacity, frame_stack="unique").nbytes,
        "SB3": sb3_bytes(),
        "SB3, optimize_memory_usage": sb3_bytes(**lean),
    }
    print("| Atari replay | bytes a transition |")
    print("| --- | --- |")
    for name, num_bytes in figures.items():
        print(f"| {name} | {num_bytes / capacity:,.0f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each contender and round")
    parser.add_argument("--capacity", type=int, default=100_000, help="vectors in uniform replay")
    parser.add_argument("--atari-capacity", type=int, default=100_000, help="SB3: 56 KB for each")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    arguments = parser.parse_args()
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    torch.set_num_threads(arguments.threads)
    logging.disable(logging.INFO)  # TorchRL's, between the rows of the table
    print_memory(arguments.atari_capacity)
    print()
    print_rates(prioritized_cases(), arguments.rounds, arguments.seconds, clock)
    print()
    uniform = uniform_cases(arguments.capacity, arguments.atari_capacity)
    print_rates(uniform, arguments.rounds, arguments.seconds, clock)


if __name__ == "__main__":
    main()
