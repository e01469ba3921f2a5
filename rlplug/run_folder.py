"""Run folders: where everything about one run is kept, from its settings to its checkpoints.

    runs/cartpole/dqn/20260102-030405-0/
    ├── config.yaml        every setting, resolved
    ├── run.json           command, versions, seed, state, final evaluation
    ├── metrics.jsonl      one object per report
    ├── console.log        what was printed
    ├── checkpoints/       step-000050000/, ...
    └── videos/

A run folder is built beside its place and then renamed: it is there whole or not at all. The
process that writes to it holds its lock, and a second one is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import re
import shutil
import time
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from rlplug.durable import create_file, replace_file, sync_folder
from rlplug.errors import ConfigError, RunFolderError
from rlplug.foreign_files import read_small_file, require_own_files
from rlplug.settings.yaml_text import read_document, write
from rlplug.versions import installed_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from rlplug.config import RunConfig

RunState = Literal["running", "finished", "interrupted", "crashed"]
_LOCK, _CONFIG, _RECORD = ".lock", "config.yaml", "run.json"
_PARTIAL = ".partial-"
"""Begins the name of a folder that is being built."""
_LEVELS = 3
"""`<env>/<algorithm>/<time>-<seed>` below the folder of all runs."""
_MOST_BYTES = 10_000_000
"""Of `config.yaml` and `run.json`: a few kilobytes, unless they are none of ours."""
_WRITTEN_BELOW = ("checkpoints", "replay", "videos")


class RunRecord(BaseModel):
    """The checked content of `run.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    algorithm: str
    environment: str
    seed: int
    command: tuple[str, ...]
    """As it was typed."""
    versions: dict[str, str]
    """By package: python, rlplug, torch, numpy, gymnasium and every plugin used."""
    platform: str
    started: datetime
    ended: datetime | None = None
    state: RunState = "running"
    outcome: str | None = None
    """Why it ended, in a sentence."""
    env_steps: int = 0
    """Environment steps when `run.json` was last written."""
    chosen: dict[str, str | int] = {}
    """What `auto` came to, by dotted setting; a resume keeps it."""
    initialized_from: str | None = None
    """The checkpoint whose weights the run began with, of another run."""
    evaluation: dict[str, Any] | None = None
    """The final evaluation, or the last one of a run that did not finish."""


class RunFolder:
    """One run's folder.

    with RunFolder.create(Path("runs"), config, command=sys.argv, versions=plugins) as run:
        ...                                            # nobody else writes to it
        run.update(state="finished", evaluation=report.to_dict())

    `RunFolder.open(path)` reads without a lock; a resume then calls `lock()`.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self._lock: TextIO | None = None

    @classmethod
    def create(
        cls,
        root: Path,
        config: RunConfig,
        *,
        command: Sequence[str],
        versions: Mapping[str, str],
        files: Mapping[str, str] | None = None,
    ) -> Self:
        """Make `root/<env>/<algorithm>/<time>-<seed>` for a new run and lock it.

        Args:
            root: Folder of all runs; made if it is not there.
            config: Every setting of the run.
            command: As it was typed.
            versions: Of the plugins used, by distribution; the core's are added.
            files: Texts of more files to put into it, by name.

        Raises:
            RunFolderError: if the folder cannot be written.
            ConfigError: if a setting given from Python has no form in YAML.
        """
        parent = root / _file_name(config.environment) / _file_name(config.algorithm)
        started = datetime.now().astimezone()
        record = RunRecord(
            algorithm=config.algorithm,
            environment=config.environment,
            seed=config.seed,
            command=tuple(command),
            versions=installed_versions() | dict(versions),
            platform=platform.platform(),
            started=started,
        )
        partial = parent / f"{_PARTIAL}{os.getpid()}-{time.monotonic_ns()}"
        run = cls(partial, record)
        try:
            partial.mkdir(parents=True)
            _fill(partial, config, record, files or {})
            run.lock()
            run.path = _rename_to_free(partial, parent / f"{started:%Y%m%d-%H%M%S}-{config.seed}")
        except BaseException as error:
            run.close()
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                raise _unwritable(parent, error) from error
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the run folder that `path` is, or lies in.

        Raises:
            RunFolderError: if there is none, saying where the nearest runs are.
        """
        try:
            if not path.exists():
                raise RunFolderError(f"No run folder at {path}: nothing is there. {_hint(path)}")
            resolved = path.resolve()
            for folder in (resolved, *resolved.parents[:_LEVELS]):
                if (folder / _RECORD).is_file():
                    as_given = path if folder == resolved else folder
                    return cls(as_given, _read_record(folder / _RECORD))
        except OSError as error:
            raise RunFolderError(f"{path} cannot be read: {error.strerror}.") from error
        raise RunFolderError(f"{path} is not a run folder: it has no {_RECORD}. {_hint(path)}")

    def lock(self) -> Self:
        """Take the lock, to write to a run that was opened.

        Raises:
            RunFolderError: naming the process that holds it, or a link that would lead writing
                out of the folder.
        """
        if self._lock is None:
            try:
                require_own_files(self.path.iterdir())
                self._lock = _take_lock(self.path)
                require_own_files(
                    chain(*((self.path / name).rglob("*") for name in _WRITTEN_BELOW))
                )
            except OSError as error:
                self.close()
                raise _unwritable(self.path, error) from error
            except RunFolderError:
                self.close()
                raise
        return self

    def remove(self) -> None:
        """Take the whole folder away: of a run that could not begin."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Release the lock; safe to call twice."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object per report."""
        return self.path / "metrics.jsonl"

    @property
    def console_log(self) -> Path:
        """What was printed, without control characters."""
        return self.path / "console.log"

    @property
    def videos(self) -> Path:
        """Folder of the videos, made when the first is written."""
        return self.path / "videos"

    @property
    def state(self) -> RunState:
        """What became of the run; one that was killed says `running`, but its lock is free."""
        if self.record.state != "running" or self._lock is not None:
            return self.record.state
        try:
            require_own_files(self.path.iterdir())
            _take_lock(self.path).close()
        except (OSError, RunFolderError):
            return "running"
        return "crashed"

    def rewrite_config(self, config: RunConfig) -> None:
        """Put other settings in `config.yaml`, as a resume with more steps has them.

        Raises:
            RunFolderError: if it cannot be written; the old content is then still there.
            ConfigError: if a setting given from Python has no form in YAML.
        """
        try:
            replace_file(self.path / _CONFIG, _config_text(config))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def update(self, **changes: Any) -> None:
        """Change fields of `run.json` at once; any state but `running` sets the time it ended.

        Raises:
            RunFolderError: if it cannot be written; the old content is then still there.
        """
        if "state" in changes:
            over = changes["state"] != "running"
            changes.setdefault("ended", datetime.now().astimezone() if over else None)
        record = RunRecord.model_validate({**dict(self.record), **changes})
        try:
            replace_file(self.path / _RECORD, _record_text(record))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.record = record


def runs_below(root: Path) -> Iterator[RunFolder]:
    """Every run folder below the folder of all runs, or below one in it.

    What cannot be read is passed over, and what a process that was killed had only begun.
    """
    for levels in range(_LEVELS, -1, -1):
        for file in sorted(root.glob("*/" * levels + _RECORD)):
            if is_complete(file.parent):
                with suppress(RunFolderError):
                    yield RunFolder(file.parent, _read_record(file))


def is_complete(folder: Path) -> bool:
    """Whether a run folder has its name; one that a kill left half made never gets it."""
    return not folder.name.startswith(_PARTIAL)


def read_config(path: Path) -> dict[str, Any]:
    """The settings in the `config.yaml` of the run folder that `path` is, or lies in.

    Raises:
        RunFolderError: if there is no run folder, or its `config.yaml` is missing or not YAML.
    """
    file = RunFolder.open(path).path / _CONFIG
    try:
        text = read_small_file(file, _MOST_BYTES).decode("utf-8")
        return read_document(text, str(file)).values
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise RunFolderError(
            f"The settings of this run cannot be read: {error} "
            "Put the file back as it was written, or start a new run."
        ) from error


def _fill(folder: Path, config: RunConfig, record: RunRecord, files: Mapping[str, str]) -> None:
    contents = {_CONFIG: _config_text(config), _RECORD: _record_text(record)}
    contents |= {name: text.encode() for name, text in files.items()}
    for name, content in contents.items():
        with create_file(folder / name) as file:
            file.write(content)
    (folder / "metrics.jsonl").touch()
    (folder / "console.log").touch()
    (folder / "checkpoints").mkdir()
    sync_folder(folder)


def _rename_to_free(partial: Path, wanted: Path) -> Path:
    """Rename to `wanted`, or with `-2`, `-3`, ... where a run of the same second has that name."""
    path, number = wanted, 1
    while True:
        try:
            partial.rename(path)  # fails on a folder that is not empty, and no run folder is
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            number += 1
            path = wanted.with_name(f"{wanted.name}-{number}")
        else:
            sync_folder(path.parent)
            return path


def _take_lock(folder: Path) -> TextIO:
    # opened for appending: the name in it belongs to the holder until the lock is ours
    file = (folder / _LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(200).strip() or "another process"
        file.close()
        raise RunFolderError(
            f"Run folder {folder} is in use by {holder}. Wait until it has ended, or stop it first."
        ) from error
    except BaseException:
        file.close()
        raise
    with suppress(OSError):  # on a full disk the lock holds without a name in it
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
    return file


def _read_record(file: Path) -> RunRecord:
    try:
        return RunRecord.model_validate_json(read_small_file(file, _MOST_BYTES))
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise RunFolderError(
            f"{file} cannot be read: {what}. Put it back as it was written, or start a new run."
        ) from error


def _config_text(config: RunConfig) -> bytes:
    try:
        return write(config.model_dump(mode="json")).encode()
    except PydanticSerializationError as error:
        message = f"A setting cannot be written to {_CONFIG}: {error}. Give plain values."
        raise ConfigError(message) from error


def _record_text(record: RunRecord) -> bytes:
    return record.model_dump_json(indent=2).encode() + b"\n"


def _file_name(name: str) -> str:
    """`ALE/Pong-v5` as one level of a path: letters, digits, `.`, `_` and `-`."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip(".-") or "unnamed"


def _hint(path: Path) -> str:
    """Where runs are: the newest below `path`, or below `runs`."""
    for folder in (path, Path("runs")):
        pattern = "/".join("*" * _LEVELS)
        for levels in (pattern, pattern[2:], pattern[4:]):
            found = list(folder.glob(f"{levels}/{_RECORD}")) if folder.is_dir() else []
            if found:
                newest = max(found, key=lambda file: file.stat().st_mtime).parent
                return f"The newest run in {folder} is {newest}."
    return "Start one with: rlplug train ALGORITHM ENVIRONMENT"


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        f"Cannot write the run folder in {path}: {error.strerror or error}. "
        "Free some space, make the folder writable, or choose another one."
    )
