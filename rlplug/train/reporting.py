"""The console and the trackers of a run, opened together and closed whatever happens."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlplug.registry import discovery
from rlplug.tracking import Console, JsonlTracker, TensorBoardTracker, Trackers
from rlplug.tracking.tensorboard import is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """
    names: dict[str, Tracker] = {"metrics.jsonl": JsonlTracker(run_dir, resume_at=resume_at)}
    wanted = config.tracking.tensorboard
    if wanted is True or (wanted == "auto" and is_installed()):
        names["tensorboard"] = TensorBoardTracker(run_dir, resume_at=resume_at)
    for name in config.tracking.trackers:
        names[name] = discovery.resolve_tracker(name)(run_dir, resume_at=resume_at)
    title = f"{config.algorithm} on {config.environment}, seed {config.seed}"
    console = Console(
        config.tracking,
        run_dir / "console.log",
        total_env_steps,
        title,
        start_env_steps=resume_at or 0,
    )
    handler = _ConsoleHandler(console)
    logger = logging.getLogger("rlplug")
    with console:
        trackers = Trackers(console, names)
        logger.addHandler(handler)
        try:
            yield trackers
        finally:
            logger.removeHandler(handler)
            trackers.close()


class _ConsoleHandler(logging.Handler):
    """Shows warnings as lines above the live display."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        self._console.message(record.getMessage())
