"""The checkpoints of a run in progress: written beside it, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplug.errors import CheckpointError, RunFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rlplug.checkpoint import CheckpointInfo, CheckpointStore
    from rlplug.checkpoint.background import BackgroundCall
    from rlplug.config import CheckpointConfig
    from rlplug.protocols import State


class Saving:
    """Writes one checkpoint at a time in the background, as `checkpoint` in the config says.

    What came of it is known at the next `poll`, `save` or `wait`: then the record and the hooks
    are told of it, or its error is.
    """

    def __init__(
        self,
        store: CheckpointStore,
        config: CheckpointConfig,
        *,
        saved: Callable[[CheckpointInfo, Path], None],
        warn: Callable[[str], None],
    ) -> None:
        self.last: Path | None = None
        """The newest that is complete on disk."""
        self.num_failed = 0
        """Checkpoints that could not be written."""
        self._store = store
        self._config = config
        self._saved = saved
        self._warn = warn
        self._writing: tuple[CheckpointInfo, BackgroundCall[Path]] | None = None

    def continue_from(self, path: Path) -> None:
        """The run goes on from this checkpoint."""
        self.last = path
        self._store.continue_from(path)

    def save(self, state: Mapping[str, State], info: CheckpointInfo) -> None:
        """Copy the state and begin to write it; waits for the one that is being written.

        Raises:
            CheckpointError: the last one could not be written and `on_error` is `stop`, or the
                state holds something that cannot be stored.
        """
        self.wait()
        if self._config.enabled:
            self._writing = (info, self._store.begin(state, info))

    def poll(self) -> None:
        """See whether the one that is being written is complete.

        Raises:
            CheckpointError: it could not be written, and `on_error` is `stop`.
        """
        if self._writing is not None and self._writing[1].is_done:
            self.wait()

    def wait(self, *, must_succeed: bool = False) -> None:
        """Wait until nothing is being written.

        Raises:
            CheckpointError: it could not be written, and `on_error` is `stop` or it must succeed.
        """
        if self._writing is None:
            return
        info, call = self._writing
        try:
            path = call.result()
            self.last, self._writing = path, None
            self._saved(info, path)
        except (CheckpointError, RunFolderError) as error:
            self._writing = None
            self.num_failed += 1
            if must_succeed or self._config.on_error == "stop":
                raise
            self._warn(f"{error} Training goes on; the next checkpoint tries again.")

    def rate(self, env_steps: int, mean_return: float) -> None:
        """Note how the weights of these steps were evaluated, where their checkpoint is kept."""
        self.wait()
        self._store.rate(env_steps, mean_return)

    def end(self) -> None:
        """Wait, whatever comes of it: another error has ended the run already."""
        try:
            self.wait()
        except (CheckpointError, RunFolderError) as error:
            self._warn(str(error))
