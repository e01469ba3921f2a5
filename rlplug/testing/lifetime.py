"""What must hold of an environment over its life: states, rendering, closing, memory, speed."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.errors import ConfigError, PluginError
from rlplug.testing.check import Checks, NonConformanceError, NotApplicableError, require
from rlplug.testing.played import SEED, difference, play_vector

if TYPE_CHECKING:
    from rlplug.testing.played import EnvironmentSubject

CHECKS = Checks()
_STEPS = 40
RESETS = 1_000
_BYTES_PER_RESET = 4_096
"""Memory that may stay behind, on average: allocators keep some for themselves."""
_FAST_SECONDS = 2.0
"""Of processor time for resets in the fast tier."""


@CHECKS.add("a saved state continues exactly")
def a_saved_state_continues_exactly(subject: EnvironmentSubject) -> None:
    """Where its state can be read, other environments put into it go on with the same episode."""
    here, there = subject.vector(1), subject.vector(1)
    try:
        play_vector(here, SEED, _STEPS // 2)
        state = here.state_dict()
        if state["environments"] is None:
            msg = (
                "It has no get_state and set_state, and its spec names no `state`: a resumed run "
                "begins new episodes."
            )
            raise NotApplicableError(msg)
        there.reset(SEED + 1)
        there.load_state_dict(state)
        space: Any = here.action_space
        space.seed(SEED + 2)
        for step in range(_STEPS):
            action = _one(space)
            left, right = (_event(adapter, action) for adapter in (here, there))
            found = difference(left, right)
            require(
                not found,
                f"{step + 1} steps after its state was put into another instance, that one "
                f"differs by {found}; get_state() must give everything that the next steps "
                "depend on, and set_state() put all of it back.",
            )
    finally:
        here.close()
        there.close()


def _one(space: Any) -> Any:
    import optree

    return optree.tree_map(lambda leaf: np.stack([leaf]), space.sample())


def _event(adapter: Any, action: Any) -> Any:
    from rlplug.testing.played import Event, copied

    came = adapter.step(action)
    outcome = (float(came.reward[0]), bool(came.terminated[0]), bool(came.truncated[0]))
    return Event("step", copied(came.observation), *outcome)


@CHECKS.add("rendering gives frames")
def rendering_gives_frames(subject: EnvironmentSubject) -> str | None:
    """Where it offers `rgb_array`, each frame is an image `[H, W, 3]` uint8."""
    env = subject.make()
    modes = env.metadata.get("render_modes") or ()
    env.close()
    if "rgb_array" not in modes:
        raise NotApplicableError("It does not offer the render mode 'rgb_array'.")
    try:
        env = subject.make(render_mode="rgb_array")
    except (ConfigError, PluginError) as error:
        msg = f"It offers 'rgb_array' and cannot be made with it: {error}"
        raise NonConformanceError(msg) from error
    try:
        env.reset(seed=SEED)
        env.step(env.action_space.sample())
        frame: Any = env.render()
    finally:
        env.close()
    is_image = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3
    require(
        is_image and frame.shape[2] == 3,
        f"render() gave {type(frame).__name__} of shape {np.shape(frame)}, expected an array "
        "[H, W, 3] of uint8.",
    )
    rate = env.metadata.get("render_fps")
    require(rate, "Its metadata has no render_fps; videos need one.")
    return f"{frame.shape[0]} × {frame.shape[1]} at {rate} frames a second"


@CHECKS.add("closing twice is safe")
def closing_twice_is_safe(subject: EnvironmentSubject) -> None:
    """An environment may be closed before its first reset, after it, and again."""
    for resets in (0, 1):
        env = subject.make()
        for _ in range(resets):
            env.reset(seed=SEED)
        env.close()
        try:
            env.close()
        except Exception as error:
            msg = (
                f"close() raised {type(error).__name__} ({error}) when called again; release what "
                "is there and nothing twice."
            )
            raise NonConformanceError(msg) from error


@CHECKS.add("resets leak no memory")
def resets_leak_no_memory(subject: EnvironmentSubject) -> str:
    """Resetting it keeps neither memory nor files; 1,000 times, or for two seconds."""
    return _leaks(subject, _FAST_SECONDS)


@CHECKS.add("1,000 resets leak no memory", tier="learns")
def a_thousand_resets_leak_no_memory(subject: EnvironmentSubject) -> str:
    """1,000 resets keep neither memory nor files, however long they take."""
    return _leaks(subject, float("inf"))


def _leaks(subject: EnvironmentSubject, seconds: float) -> str:
    env = subject.make()
    action = env.action_space.sample()
    try:
        _reset(env, action, RESETS // 10, seconds / 4)
        before, files = _memory(), _open_files()
        done = _reset(env, action, RESETS, seconds)
        growth = (_memory() - before) / done
        more = _open_files() - files
    finally:
        env.close()
    require(
        growth < _BYTES_PER_RESET,
        f"Memory grew by {growth:,.0f} bytes in each of {done} resets; keep nothing of an episode "
        "that has ended.",
    )
    require(more < 10, f"{more} more files are open after {done} resets; close them in reset().")
    return f"{done} resets, {max(growth, 0):,.0f} bytes each"


def _reset(env: Any, action: Any, times: int, seconds: float) -> int:
    """Reset and step so often, or until the processor time is spent; returns how often."""
    began = time.process_time()
    for done in range(times):
        env.reset(seed=SEED + done)
        env.step(action)
        if time.process_time() - began > seconds and done >= 20:
            return done + 1
    return times


def _memory() -> int:
    """Bytes that this process has in memory, without those it could give back."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise NotApplicableError("This system does not tell how much memory a process has.")
    gc.collect()
    _give_back()
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _give_back() -> None:
    """Return what lies free in the heap to the system, where its allocator can.

    Otherwise what is kept would first fill the holes that earlier work has left, unseen.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@CHECKS.add("steps per second")
def steps_per_second(subject: EnvironmentSubject) -> str:
    """It steps, and how fast: one environment alone in a process, on random actions."""
    env = subject.make()
    actions = subject.actions(100, SEED)
    try:
        env.reset(seed=SEED)
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < 0.2:
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                steps += 1
                if terminated or truncated:
                    env.reset()
        rate = steps / (time.perf_counter() - began)
    finally:
        env.close()
    return f"{rate:,.0f} steps per second"
