"""The simulator: imported when it is needed, quietly, and with a plain word where it cannot be."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.errors import ConfigError, PluginError
from rlplug_procgen.config import MAX_LEVEL
from rlplug_procgen.games import GAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from procgen import ProcgenGym3Env

    from rlplug_procgen.config import ProcgenConfig

INSTALL = 'pip install "procgen-mirror>=0.10.7,<0.11" "numpy<2"'


def load() -> type[ProcgenGym3Env]:
    """Procgen's vector environment.

    Raises:
        PluginError: it is not installed, or cannot run beside this numpy.
    """
    if int(np.__version__.partition(".")[0]) >= 2:
        raise PluginError(
            f"Procgen's simulator needs numpy < 2, and numpy {np.__version__} is installed. "
            f"Run: {INSTALL}"
        )
    try:
        with _quiet_import():
            from procgen import ProcgenGym3Env
    except ImportError as error:
        raise PluginError(
            f"Procgen's simulator cannot be imported ({type(error).__name__}: {error}). "
            f"Run: {INSTALL}"
        ) from error
    return ProcgenGym3Env


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Import Procgen without what its parts do on the side.

    It imports the old gym, to register itself there, and gym prints what `gym_notices` has to say
    of its version: these notices are put away meanwhile. A path of somebody's machine that Procgen
    adds to Python's is removed again, and a file that it leaves open for a moment is no warning.
    """
    notices: dict[str, str] = {}
    with suppress(ImportError):
        from gym_notices.notices import notices
    kept, path = dict(notices), list(sys.path)
    notices.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        notices.update(kept)
        sys.path[:] = path


def arguments(game: str, config: ProcgenConfig) -> dict[str, Any]:
    """Keyword arguments of the simulator.

    Args:
        game: Its short name.
        config: How to play it.

    Raises:
        ConfigError: the game has no such mode, or there are no such levels. (The simulator itself
            would end the process.)
    """
    mode = config.distribution_mode
    modes = ("easy", "hard", *GAMES[game].more_modes)
    if mode not in modes:
        raise ConfigError(
            f"env.distribution_mode: {game} has no {mode!r} levels; it has: {', '.join(modes)}."
        )
    taken = {
        "env_name": game,
        "distribution_mode": mode,
        "use_backgrounds": config.use_backgrounds,
        "center_agent": config.center_agent,
        "paint_vel_info": config.paint_vel_info,
        "use_sequential_levels": config.use_sequential_levels,
        "restrict_themes": config.restrict_themes,
        "use_monochrome_assets": config.use_monochrome_assets,
    }
    levels, first = config.levels, config.start_level
    if mode == "exploration":
        if levels or first:
            raise ConfigError(
                f"env.num_levels: {levels} levels from {first} were asked for, but exploration "
                "is one level. Leave num_levels and start_level out."
            )
        return taken
    if levels == 0 and first:
        raise ConfigError(
            f"env.start_level: {first} has no meaning where all levels are played; set "
            "env.num_levels, or leave it out."
        )
    if first + levels > MAX_LEVEL:
        raise ConfigError(
            f"env.start_level: levels {first} to {first + levels} were asked for; the last level "
            f"is {MAX_LEVEL}."
        )
    return taken | {"num_levels": levels, "start_level": first}
