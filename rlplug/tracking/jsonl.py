"""`metrics.jsonl`: one JSON object per report, in a run's folder."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

from rlplug.durable import replace_file
from rlplug.errors import RunFolderError
from rlplug.foreign_files import read_small_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.data import EpisodeStats


_MOST_BYTES = 2_000_000_000
"""Of a history that a resumed run goes on with: a million rows."""


class JsonlTracker:
    """Appends `{"env_steps": ..., "time": ..., metric: number or null, ...}`; NaN is null.

    A row that the disk does not take is kept, and written before the next one: when the disk has
    room again no row is missing, and none is torn.
    """

    keeps_unwritten = True

    def __init__(self, run_folder: Path, *, resume_at: int | None = None) -> None:
        """Open the file of the run in `run_folder`.

        Args:
            run_folder: Where `metrics.jsonl` is, or will be.
            resume_at: Environment steps from which the run goes on: rows of later steps, which it
                will write again, are dropped. None keeps every row.
        """
        self.path = run_folder / "metrics.jsonl"
        if resume_at is not None:
            drop_rows_after(self.path, resume_at)
        self._file = self.path.open("ab", buffering=0)
        self._unwritten: list[bytes] = []

    def write(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Append one row.

        Raises:
            OSError: if it could not be written now; it will be with the next one.
        """
        stamp = {"env_steps": env_steps, "time": round(time.time(), 3)}
        row = stamp | {name: _json_number(value) for name, value in metrics.items()} | stamp
        self._unwritten.append(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._append()

    def catch_up(self) -> None:
        """Write the rows that were kept.

        Raises:
            OSError: if they still cannot be written.
        """
        self._append()

    def episode(self, episode: EpisodeStats) -> None:
        """Reports hold the recent episodes' mean; single ones are not written."""

    def close(self) -> None:
        """Write what is left and close.

        Raises:
            OSError: if rows are left that could not be written.
        """
        if not self._file.closed:
            try:
                self._append()
            finally:
                self._file.close()

    def _append(self) -> None:
        rows = b"".join(self._unwritten)
        end = self._file.seek(0, 2)
        try:
            while rows:  # a disk that is nearly full takes a part
                rows = rows[self._file.write(rows) :]
        except OSError:
            self._file.truncate(end)  # no half row
            raise
        self._unwritten.clear()


def drop_rows_after(path: Path, env_steps: int) -> None:
    """Keep the whole rows up to `env_steps`; a torn row, as a crash leaves one, goes too.

    Raises:
        RunFolderError: if it cannot be read.
    """
    if not path.exists():
        return
    try:
        lines = read_small_file(path, _MOST_BYTES).splitlines(keepends=True)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Put it back as it was written."
        raise RunFolderError(msg) from error
    kept = [line for line in lines if _is_row_up_to(line, env_steps)]
    if kept != lines:
        replace_file(path, b"".join(kept))


def _is_row_up_to(line: bytes, env_steps: int) -> bool:
    try:
        row = json.loads(line)
        return line.endswith(b"\n") and bool(row["env_steps"] <= env_steps)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _json_number(value: Any) -> int | float | None:
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None
