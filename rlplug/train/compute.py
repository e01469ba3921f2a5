"""What a run takes of the machine that it computes on: threads, memory, and how it rounds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rlplug.distributed.session import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.config import RunConfig
    from rlplug.protocols import Agent

SMALL_UPDATE = 4_000_000
"""The policy's weights times rows of a minibatch, below which one thread is the fastest."""
LARGE_UPDATE = 50_000_000
"""The same, from which each core takes a thread; between the two, two gain a fifth."""
USUAL_BATCH = 64
"""Rows of a minibatch where an agent's settings name no `batch_size`."""


@contextlib.contextmanager
def compute_threads(config: RunConfig, agent: Agent) -> Iterator[int]:
    """Compute with the configured number of threads, and put the process's own back."""
    before, threads = torch.get_num_threads(), config.launch.threads
    if threads == "auto":
        batch_size = getattr(config.agent, "batch_size", None)
        threads = _threads_for(agent, batch_size if isinstance(batch_size, int) else USUAL_BATCH)
    torch.set_num_threads(threads)
    start_threads()
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def _threads_for(agent: Agent, batch_size: int) -> int:
    """What measured fastest on 2 cores: one thread, two, or one for each core."""
    update = batch_size * sum(_numel(tensor) for tensor in agent.policy_weights().values())
    cores = usable_cores()
    if update < SMALL_UPDATE:
        return 1
    return min(cores, 2) if update < LARGE_UPDATE else cores


def _numel(tensor: Any) -> int:
    """Elements of a weight, whatever framework it comes from."""
    return int(np.prod(tensor.shape))


@contextlib.contextmanager
def subnormals_as_zero() -> Iterator[bool]:
    """Compute with numbers below 1.2e-38 as with 0, on this thread and those it starts.

    Averages of Adam whose gradient stays 0, those of a hidden unit that is never active, decay into
    this range and stay there for ever, where a processor of Intel's computes many times more slowly
    (decision 0035). Updates are made within; acting and environments are not.

    Yields:
        Whether the processor can.
    """
    before = sys.float_info.min * 0.5 == 0
    try:
        yield torch.set_flush_denormal(True)
    finally:
        torch.set_flush_denormal(before)


def start_threads() -> None:
    """Have torch start its threads now, with subnormals as 0: they keep what they began with.

    Those that a program has started before it trains stay as they are.
    """
    for kind in (np.float16, np.float32, np.float64):
        np.finfo(kind)  # numpy 1 warns where it looks at a type for the first time with this set
    with subnormals_as_zero():
        torch.zeros(_ENOUGH_FOR_ALL).add_(1)


_ENOUGH_FOR_ALL = 1 << 20
"""Numbers that torch gives several threads to work on."""
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""glibc's numbers for two parameters of its allocator (mallopt(3))."""
_LARGEST_BLOCK = 32 << 20
"""The most that glibc takes for the first."""
_KEPT = 1 << 30
_SET_BY_USER = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Let the process keep up to 1 GiB that it has freed, for the next update.

    glibc gives large blocks back to the system and asks for them again, page by page: 3,600 page
    faults, and a fifth of the time, in each update of a Nature CNN in bfloat16 (decision 0034).
    What the user has set for the allocator stands.

    Returns:
        Whether anything was set: not on another system, nor with an allocator of another kind.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _SET_BY_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK) and mallopt(_TRIM_THRESHOLD, _KEPT))
