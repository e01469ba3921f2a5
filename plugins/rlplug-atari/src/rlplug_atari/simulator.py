"""ale-py, or one line that says how to get it."""

from __future__ import annotations

import functools
import importlib.metadata

from packaging.version import Version

from rlplug.errors import PluginError

MINIMUM = "0.12.1"
"""The first ale-py whose vector environment can reset some of its games; 0.12.0 then hangs."""


@functools.cache
def require() -> None:
    """See that ale-py is there, and keep its banner off the terminal.

    Raises:
        PluginError: it is missing, too old, or does not load.
    """
    advice = f'Run: pip install "ale-py>={MINIMUM}"'
    try:
        version = importlib.metadata.version("ale-py")
    except importlib.metadata.PackageNotFoundError as error:
        message = f"Atari games need the package ale-py, which is not installed. {advice}"
        raise PluginError(message) from error
    if Version(version) < Version(MINIMUM):
        raise PluginError(f"ale-py {version} is too old: Atari games need {MINIMUM}. {advice}")
    try:
        import ale_py
        from ale_py.vector_env import AtariVectorEnv  # noqa: F401 - is an optional part
    except ImportError as error:
        raise PluginError(f"ale-py {version} does not load ({error}). {advice}") from error
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
