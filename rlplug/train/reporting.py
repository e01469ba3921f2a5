"""The console and the trackers of a run, opened together and closed whatever happens."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rlplug.errors import PluginError, RlplugError
from rlplug.registry import discovery
from rlplug.tracking import Console, JsonlTracker, TensorBoardTracker, Trackers
from rlplug.tracking.tensorboard import is_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rlplug.config import RunConfig
    from rlplug.protocols import Tracker


@contextmanager
def open_trackers(
    config: RunConfig, run_dir: Path, *, total_env_steps: int, resume_at: int | None
) -> Iterator[Trackers]:
    """The run's trackers; warnings that rlplug logs meanwhile appear as lines of the console.

    Args:
        config: Its `tracking` section chooses them.
        run_dir: The run's folder.
        total_env_steps: Length of the run.
        resume_at: Environment steps that a resumed run has behind it; None for a new one.

    Raises:
        ConfigError: TensorBoard events are asked for and cannot be written.
        PluginError: a registered tracker cannot be built.
    """
    title = f"{config.algorithm} on {config.environment}, seed {config.seed}"
    console = Console(
        config.tracking,
        run_dir / "console.log",
        total_env_steps,
        title,
        start_env_steps=resume_at or 0,
    )
    with console, _warnings_on(console):
        trackers = Trackers(console, {})
        try:
            for name, build in _builders(config).items():
                trackers.add(name, build(run_dir, resume_at=resume_at))
            yield trackers
        finally:
            trackers.close()


def _builders(config: RunConfig) -> dict[str, Callable[..., Tracker]]:
    """What builds each tracker, by the name that messages call it."""
    found: dict[str, Callable[..., Tracker]] = {"metrics.jsonl": JsonlTracker}
    wanted = config.tracking.tensorboard
    if wanted is True or (wanted == "auto" and is_installed()):
        found["tensorboard"] = TensorBoardTracker
    for name in config.tracking.trackers:
        if name not in found:
            found[name] = partial(_build_registered, name)
    return found


def _build_registered(name: str, run_dir: Path, *, resume_at: int | None) -> Tracker:
    build = discovery.resolve_tracker(name)
    try:
        tracker: Tracker = build(run_dir, resume_at=resume_at)
    except RlplugError:
        raise
    except Exception as error:
        msg = f"The tracker '{name}' cannot be started: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    return tracker


@contextmanager
def _warnings_on(console: Console) -> Iterator[None]:
    """Show what rlplug warns of above the live display, in place of wherever else it goes."""
    logger, handler = logging.getLogger("rlplug"), _ConsoleHandler(console)
    others = [] if console.mode == "off" else logger.handlers[:]
    for other in others:
        logger.removeHandler(other)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        for other in others:
            logger.addHandler(other)


class _ConsoleHandler(logging.Handler):
    """Shows warnings as lines above the live display."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        self._console.message(record.getMessage())
