"""What belongs to the whole process, and who changed it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rlplug.testing.comparison import state_differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Start from the same global generators, and put everything global back at the end.

    Who uses what is global is found by one check, and must not spoil the others.
    """
    before = _snapshot()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - pinned for whoever uses it
    torch.manual_seed(0)
    torch.set_num_threads(1)  # small networks gain nothing by more, and wait where cores are busy
    try:
        yield
    finally:
        _restore(before)


def global_state_changes(act: Callable[[], object]) -> list[str]:
    """Names of what differs after `act`; what others would stumble over is put back."""
    before = _snapshot()
    act()
    after = _snapshot()
    changed = [name for name in before if state_differences(before[name], after[name])]
    if _VARIABLES in changed:
        changed.remove(_VARIABLES)
        variables = state_differences(before[_VARIABLES], after[_VARIABLES])
        changed += [f"the environment variable {variable}" for variable in variables]
    _restore(before)
    return changed


def _snapshot() -> dict[str, Any]:
    return {
        "Python's random generator": random.getstate(),
        "numpy's global generator": np.random.get_state(),  # noqa: NPY002 - to see who uses it
        "torch's global generator": torch.get_rng_state(),
        "torch's default dtype": str(torch.get_default_dtype()),
        "torch's default device": str(torch.get_default_device()),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "cudnn's benchmark mode": torch.backends.cudnn.benchmark,
        "numpy's error handling": dict(np.geterr()),
        "the working directory": str(os.getcwd()),  # noqa: PTH109 - as text
        "signal handlers": [str(signal.getsignal(one)) for one in _SIGNALS],
        _VARIABLES: {
            name: value for name, value in os.environ.items() if name not in _SET_BY_IMPORTS
        },
    }


_VARIABLES = "environment variables"
_SET_BY_IMPORTS = ("TORCHINDUCTOR_CACHE_DIR", "PYGAME_HIDE_SUPPORT_PROMPT")
"""What torch's first optimizer and Gymnasium's first classic environment set, whoever asks."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _restore(state: dict[str, Any]) -> None:
    """What a check would stumble over."""
    random.setstate(state["Python's random generator"])
    np.random.set_state(state["numpy's global generator"])  # noqa: NPY002 - put back
    torch.set_rng_state(state["torch's global generator"])
    torch.set_default_dtype(getattr(torch, state["torch's default dtype"].removeprefix("torch.")))
    torch.set_num_threads(state["torch's number of threads"])
    torch.set_grad_enabled(state["torch's gradient mode"])
    os.chdir(state["the working directory"])
