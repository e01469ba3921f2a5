"""MuJoCo itself: whether it is there and new enough, and where its warnings go."""

from __future__ import annotations

import functools
import logging
import re
from typing import Any

from packaging.version import Version

from rlplug.errors import PluginError

MINIMUM = "3.1"
"""The oldest MuJoCo that the tests pass with."""
INSTALL = f'pip install --upgrade "mujoco>={MINIMUM}"'

logger = logging.getLogger("rlplug.mujoco")


def require(name: str) -> None:
    """See to it that MuJoCo works, before Gymnasium finds that it does not.

    Args:
        name: Of the environment that needs it.

    Raises:
        PluginError: it is missing, broken or too old, with the command that mends it.
    """
    needs = f"Environment {name!r} needs MuJoCo {MINIMUM} or newer"
    try:
        import mujoco
    except ImportError as error:
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == "mujoco"
        reason = " ".join(str(error).split())
        state = "is not installed" if is_missing else f"fails to import ({reason})"
        raise PluginError(f"{needs}, which {state}. Run: {INSTALL}") from error
    if Version(mujoco.__version__) < Version(MINIMUM):
        raise PluginError(f"{needs}; {mujoco.__version__} is installed. Run: {INSTALL}")
    _take_warnings(mujoco)


def _take_warnings(mujoco: Any) -> None:
    """Send warnings to the log: left alone, MuJoCo appends them to a file in the current folder.

    A handler that the user has set stays.
    """
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_log)


def _log(text: str) -> None:
    """What MuJoCo warns of; of a model file of Gymnasium's only on request."""
    if "deprecated" in text:
        logger.debug("MuJoCo: %s", text)
    else:
        _log_once(re.sub(r"\s*Time = [\d.]+", "", text))


@functools.cache
def _log_once(text: str) -> None:
    """An unstable simulation says the same at every step."""
    logger.warning("MuJoCo: %s This is said once.", text)
