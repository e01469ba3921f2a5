"""Files that a stranger may have put there: read within bounds, never written through."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from rlplug.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_small_file(path: Path, most_bytes: int) -> bytes:
    """The content of a file that is known to be small.

    Raises:
        OSError: it is no regular file (a pipe would never end), or longer than `most_bytes`.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if facts.st_size > most_bytes:
        raise OSError(errno.EFBIG, f"it has {facts.st_size:,} bytes, more than {most_bytes:,}")
    return path.read_bytes()


def require_own_files(paths: Iterable[Path]) -> None:
    """See that writing to these leads nowhere else.

    Raises:
        RunFolderError: one is a link, or no file and no folder.
    """
    for path in paths:
        if path.is_symlink():
            kind = "a link"
        elif path.is_file() or path.is_dir() or not path.exists():
            continue
        else:
            kind = "a pipe, a socket or a device"
        raise RunFolderError(
            f"{path} is {kind}, and a run writes nothing outside its own folder. Put the file "
            "itself there, or remove it."
        )
