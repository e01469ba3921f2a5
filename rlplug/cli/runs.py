"""Which run is meant."""

from __future__ import annotations

from pathlib import Path

from rlplug.errors import RunFolderError

LAST = "last"


def find_run(run: str, root: Path = Path("runs")) -> Path:
    """The folder of a run: a path, or `last` for the newest below `root`.

    Raises:
        RunFolderError: if there is none.
    """
    if run != LAST or Path(run).is_dir():
        return Path(run)
    found = list(root.glob("*/*/*/config.yaml"))
    if not found:
        msg = f"There is no run in {root.resolve()}. Start one: rlplug train dqn cartpole"
        raise RunFolderError(msg)
    return max(found, key=lambda file: file.stat().st_mtime_ns).parent
