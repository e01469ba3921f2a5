"""TensorBoard events in the run's folder, so that `tensorboard --logdir runs` shows every run.

Written through the `tensorboard` package's record writer and protocol buffers alone: no torch, no
TensorFlow, no thread, and a full disk is noticed at once (docs/decisions/0003-tensorboard.md).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.data import EpisodeStats

_PREFIX = "events.out.tfevents."


def is_installed() -> bool:
    """Whether the `tensorboard` package is there; it is not imported."""
    return importlib.util.find_spec("tensorboard") is not None


class TensorBoardTracker:
    """Writes each metric as a scalar; a name without a group is put under `training/`."""

    def __init__(self, run_folder: Path, *, resume_at: int | None = None) -> None:
        """Start an event file in `run_folder`.

        Args:
            run_folder: Where event files lie.
            resume_at: Environment steps from which the run goes on: TensorBoard then forgets what
                earlier files say of later steps.

        Raises:
            ConfigError: if the `tensorboard` package is not installed.
        """
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise ConfigError(
                "TensorBoard events were asked for, but the tensorboard package is not installed. "
                "Install it (pip install 'rlplug[tensorboard]'), or set tracking.tensorboard to "
                "auto."
            ) from error
        self._event: Any = event_pb2.Event
        self._summary: Any = summary_pb2.Summary
        self._records = RecordWriter(_new_event_file(run_folder).open("xb"))
        self._add(file_version="brain.Event:2")
        if resume_at is not None:
            started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add(step=resume_at + 1, session_log=started)
        self._records.flush()

    def write(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of one report.

        Raises:
            OSError: if the disk is full.
        """
        values = [
            self._summary.Value(
                tag=name if "/" in name else f"training/{name}", simple_value=float(value)
            )
            for name, value in metrics.items()
        ]
        self._add(step=env_steps, summary=self._summary(value=values))
        self._records.flush()

    def episode(self, episode: EpisodeStats) -> None:
        """Reports hold the recent episodes' mean; single ones are not written."""

    def close(self) -> None:
        """Close the event file; safe to call twice."""
        self._records.close()

    def _add(self, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())


def _new_event_file(folder: Path) -> Path:
    """A name after all that are there: TensorBoard reads event files in their names' order."""
    taken = [path.name.removeprefix(_PREFIX) for path in folder.glob(f"{_PREFIX}*")]
    newest = max((int(name[:10]) for name in taken if name[:10].isdigit()), default=0)
    seconds = max(int(time.time()), newest + 1)
    return folder / f"{_PREFIX}{seconds:010d}.{platform.node()}.{os.getpid()}"
