"""Which checkpoints of a run are kept, and which one is asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rlplug.checkpoint.background import BackgroundCall
from rlplug.checkpoint.folder import (
    checkpoints,
    order,
    prepare,
    rate_checkpoint,
    remove_checkpoint,
    stored_blocks,
    verify_checkpoint,
    write_checkpoint,
)
from rlplug.checkpoint.manifest import CheckpointInfo, read_manifest
from rlplug.checkpoint.segments import Segments
from rlplug.checkpoint.snapshot import Snapshots
from rlplug.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rlplug.checkpoint.folder import Component
    from rlplug.config import CheckpointConfig
    from rlplug.protocols import State

_log = logging.getLogger(__name__)


def newest_checkpoint(
    run_folder: Path, *, warn: Callable[[str], object] = _log.warning
) -> Path | None:
    """The newest whole checkpoint of a run; each damaged one on the way is named to `warn`."""
    for path in reversed(checkpoints(run_folder / "checkpoints")):
        try:
            verify_checkpoint(path)
        except CheckpointError as error:
            warn(f"Skipped a checkpoint: {error}")
        else:
            return path
    return None


def best_checkpoint(run_folder: Path) -> Path | None:
    """The checkpoint with the highest `mean_return` (the later of equals); None if none has one."""
    return _best(checkpoints(run_folder / "checkpoints"))


class CheckpointStore:
    """The checkpoints of one run, kept as its config says.

    store = CheckpointStore(run.path, config.checkpoint)
    store.save({"agent": agent.state_dict(), ...}, CheckpointInfo(env_steps=50_000))
    """

    def __init__(
        self,
        run_folder: Path,
        config: CheckpointConfig,
        *,
        warn: Callable[[str], object] = _log.warning,
        logs: Sequence[Path] = (),
    ) -> None:
        """Of the run in `run_folder`; what `logs` hold by then is on the disk before each."""
        self.run_folder = run_folder
        self.directory = run_folder / "checkpoints"
        self._config = config
        self._warn = warn
        self._logs = logs
        self._continue(Segments())

    def continue_from(self, path: Path) -> None:
        """Write only what changes after the checkpoint `path`, which was loaded just now.

        Raises:
            CheckpointError: if it cannot be read.
        """
        self._continue(stored_blocks(path))

    def _continue(self, segments: Segments) -> None:
        self._segments = segments
        self._snapshots = Snapshots(segments)

    def save(self, state: Mapping[str, State], info: CheckpointInfo) -> Path:
        """Write a checkpoint, then remove those that need not be kept."""
        return self.begin(state, info).result()

    def begin(self, state: Mapping[str, State], info: CheckpointInfo) -> BackgroundCall[Path]:
        """Copy the state now and write it in the background; the last one must have ended.

        Raises:
            CheckpointError: if the state holds something that cannot be stored.
        """
        copies = self._snapshots.take(prepare(state))
        return BackgroundCall(lambda: self._write(copies, info))

    def rate(self, env_steps: int, mean_return: float) -> None:
        """Write the mean return of its weights into the checkpoint of these steps, if it is there.

        For an evaluation that ended after the checkpoint was written.
        """
        for path in checkpoints(self.directory):
            if order(path)[0] == env_steps:
                rate_checkpoint(path, mean_return)
        self.prune()

    def newest(self) -> Path | None:
        """The newest whole checkpoint; damaged ones are named and passed over."""
        return newest_checkpoint(self.run_folder, warn=self._warn)

    def best(self) -> Path | None:
        """The checkpoint with the best evaluation."""
        return best_checkpoint(self.run_folder)

    def _write(self, parts: Mapping[str, Component], info: CheckpointInfo) -> Path:
        path = write_checkpoint(
            self.directory, parts, info=info, segments=self._segments, logs=self._logs
        )
        self.prune()
        return path

    def prune(self) -> None:
        """Keep what the config says: the newest, the first of each period, the best."""
        paths = checkpoints(self.directory)
        keep_last, period = self._config.keep_last, self._config.keep_every_env_steps
        keep = set(paths if keep_last == "all" else paths[-keep_last:])
        if period is not None:
            # the earliest of a period stays the earliest: nothing older is ever added to it
            earliest = {order(path)[0] // period: path for path in reversed(paths)}
            keep |= set(earliest.values())
        if self._config.keep_best and (best := _best(paths)):
            keep.add(best)
        self._remove_all([path for path in paths if path not in keep])

    def discard_after(self, env_steps: int) -> None:
        """Remove checkpoints of later steps: a run that resumes from `env_steps` redoes them."""
        self._remove_all([p for p in checkpoints(self.directory) if order(p)[0] > env_steps])

    def _remove_all(self, paths: list[Path]) -> None:
        for path in paths:
            try:
                remove_checkpoint(path)
            except OSError as error:
                self._warn(f"Cannot remove the old checkpoint {path}: {error.strerror}.")


def _best(paths: list[Path]) -> Path | None:
    scores: list[tuple[float, tuple[int, int], Path]] = []
    for path in paths:
        try:
            info = read_manifest(path).info
        except CheckpointError:
            continue  # a damaged one is never the best; `newest` is who names it
        if info.mean_return is not None:
            scores.append((info.mean_return, order(path), path))
    return max(scores)[2] if scores else None
