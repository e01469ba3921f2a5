"""Drawing without a window: finds out at run time what this machine can draw with.

Gymnasium tries GLFW first, which needs a display, and takes what comes after it at its word. So on
Linux every way is tried in a process of its own, where a driver may fail as it likes, and the first
that draws is put into `MUJOCO_GL`, which MuJoCo and Gymnasium read.
"""

from __future__ import annotations

import ctypes.util
import functools
import os
import subprocess
import sys

from rlplug.errors import ConfigError

_LIBRARIES = {"glfw": "GL", "egl": "EGL", "osmesa": "OSMesa"}
"""What each way of drawing needs, by MuJoCo's name for it."""
_ATTEMPT = """
import importlib, sys
context = importlib.import_module(f"mujoco.{sys.argv[1]}").GLContext(64, 64)
context.make_current()
import mujoco
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
"""
_SECONDS = 60
_ADVICE = (
    "Install one of them (Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri, or: apt-get "
    "install libosmesa6)."
)


def prepare(name: str) -> None:
    """Choose what to draw frames with, and keep the choice for this process and its children.

    Args:
        name: Of the environment that is to be drawn.

    Raises:
        ConfigError: nothing on this machine can.
    """
    if not sys.platform.startswith("linux"):
        return  # a window system is always there, and Gymnasium finds it
    chosen = os.environ.get("MUJOCO_GL", "")
    if chosen and chosen not in _LIBRARIES:
        raise ConfigError(
            f"MUJOCO_GL is {chosen!r}; Gymnasium draws with one of {', '.join(_LIBRARIES)}. "
            "Unset it to have one found."
        )
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    found = ["glfw", "egl", "osmesa"] if has_display else ["egl", "osmesa"]
    reasons = []
    for backend in [chosen] if chosen else found:
        reason = _why_not(backend)
        if not reason:
            os.environ["MUJOCO_GL"] = backend
            return
        reasons.append(f"{backend}: {reason}")
    raise ConfigError(f"Cannot draw '{name}' on this machine ({'; '.join(reasons)}). {_ADVICE}")


@functools.cache
def _why_not(backend: str) -> str:
    """Why this machine does not draw with `backend`; empty where it does."""
    library = _LIBRARIES[backend]
    if ctypes.util.find_library(library) is None:
        return f"the library {library} is not installed"
    try:
        subprocess.run(  # noqa: S603  our own code; the argument is one of three words
            [sys.executable, "-c", _ATTEMPT, backend],
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else f"ends with status {error.returncode}"
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s"
    return ""
