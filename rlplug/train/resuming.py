"""Which settings may change when a run goes on, and which unfinished run is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rlplug.checkpoint import checkpoints
from rlplug.errors import ConfigError, RlplugError, RunFolderError
from rlplug.resolve import load_run
from rlplug.run_folder import runs_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rlplug.config import RunConfig

RESUMABLE = (
    "device",
    "train.steps",
    "evaluate.",
    "stop.",
    "hooks.",
    "checkpoint.",
    "tracking.",
    "launch.threads",
    "launch.cluster",
    "launch.env_timeout_seconds",
    "launch.start_timeout_seconds",
    "launch.max_restarts",
)
"""What may change when a run goes on; anything else would make it another run."""


def require_resumable(names: Iterable[str]) -> None:
    """Refuse settings that would make it another run.

    Raises:
        ConfigError: naming one.
    """
    for name in names:
        if not f"{name}.".startswith(tuple(one.rstrip(".") + "." for one in RESUMABLE)):
            may = ", ".join(one.rstrip(".") for one in RESUMABLE)
            msg = f"{name} cannot change when a run goes on. What may: {may}. Or start a new run."
            raise ConfigError(msg)


def newest_unfinished(run_root: Path, config: RunConfig) -> Path | None:
    """The newest run below `run_root` with these very settings that has not finished.

    One that another process is writing counts: to resume it is an error, and so it should be. One
    that was killed before its first checkpoint has nothing to go on from and does not count.
    """
    wanted = config.model_dump(mode="json")
    for folder in sorted(runs_below(run_root), key=lambda one: one.record.started, reverse=True):
        if folder.record.state == "finished" or not checkpoints(folder.checkpoints):
            continue
        try:
            settings = load_run(folder.path).config.model_dump(mode="json")
        except RlplugError:
            continue  # settings of another version are not these
        if settings == wanted:
            return folder.path
    return None


def with_choices(config: RunConfig, chosen: Mapping[str, str | int]) -> RunConfig:
    """The settings with what `auto` chose when the run began where they still say `auto`.

    Raises:
        RunFolderError: if what stands in the record is no such choice.
    """
    for name, value in chosen.items():
        section, _, field = name.rpartition(".")
        holder: Any = getattr(config, section, None) if section else config
        if getattr(holder, field, None) != "auto":
            continue
        if not section:
            if not re.fullmatch(r"cpu|cuda(:\d+)?", str(value)):
                raise RunFolderError(_no_choice(name, value))
            config = config.model_copy(update={field: value})
            continue
        try:
            changed = {section: type(holder).model_validate({**dict(holder), field: value})}
        except ValueError as error:
            raise RunFolderError(_no_choice(name, value)) from error
        config = config.model_copy(update=changed)
    return config


def _no_choice(name: str, value: object) -> str:
    return (
        f"run.json says that auto chose {value!r} for {name}, which cannot be. Put it back as "
        "it was written, or start a new run."
    )
