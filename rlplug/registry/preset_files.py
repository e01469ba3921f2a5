"""Presets from YAML: one file per algorithm, in a package that an entry point names.

    # rlplug_foo/presets/dqn.yaml
    cartpole:                       # an environment, or a pattern such as atari/*
      source: where the settings come from
      scored: what they reached, and after how many environment steps
      agent: {batch_size: 64}       # any section of the run
    acrobot:                        # or several, told apart by name
      - {name: default, source: ..., agent: {...}}
      - {name: fast, source: ..., train: {...}}

The package is located, never imported.
"""

from __future__ import annotations

import importlib.util
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.registry.entries import Entry
    from rlplug.specs import Preset

SECTIONS = (
    "agent", "replay", "env", "train", "evaluate", "launch", "stop", "checkpoint", "tracking",
    "hooks",
)  # fmt: skip


def folder(entry: Entry) -> Path:
    """The folder of an entry point's package.

    Raises:
        PluginError: when its package does not exist.
    """
    top, *rest = entry.value.split(".")
    spec = importlib.util.find_spec(top)
    for location in (spec and spec.submodule_search_locations) or ():
        path = Path(location, *rest)
        if path.is_dir():
            return path
    msg = f"Presets of {entry.provider}: there is no package '{entry.value}'"
    raise PluginError(msg)


def read(entry: Entry, path: Path) -> list[Preset]:
    """All presets of one file, whose stem is the algorithm's name.

    Raises:
        PluginError: naming file and line, when it is not YAML or not made of presets.
    """
    from rlplug.settings.yaml_text import read_document

    try:
        document = read_document(path.read_text(encoding="utf-8"), str(path))
    except (ConfigError, UnicodeDecodeError) as error:
        msg = f"Presets of {entry.provider}: {error}"
        raise PluginError(msg) from error
    found = []
    for environment, given in document.values.items():
        for settings in given if isinstance(given, list) else [given]:
            try:
                found.append(_preset(path.stem, str(environment), settings))
            except ValueError as error:
                line = document.lines[str(environment)]
                msg = f"Presets of {entry.provider}: {path}, line {line}: {error}"
                raise PluginError(msg) from error
    return found


def matching(found: list[Preset], environment: str) -> Iterator[Preset]:
    """Presets of an environment; those that name it come before patterns that cover it."""
    yield from (preset for preset in found if preset.environment == environment)
    for preset in found:
        if preset.environment != environment and fnmatchcase(environment, preset.environment):
            yield preset


def _preset(algorithm: str, environment: str, given: Any) -> Preset:
    from rlplug.specs import Preset

    if not isinstance(given, dict):
        msg = f"'{environment}' holds {given!r}; expected source, scored and sections of settings"
        raise ValueError(msg)  # noqa: TRY004  bad content of a file, as pydantic's own errors
    about = {key: given[key] for key in ("name", "source", "scored") if key in given}
    settings = {key: value for key, value in given.items() if key not in about}
    for key, value in settings.items():
        if key not in SECTIONS:
            msg = f"'{environment}' has a section '{key}'; expected one of {', '.join(SECTIONS)}"
            raise ValueError(msg)
        if not isinstance(value, dict):
            msg = f"section '{key}' of '{environment}' holds {value!r}; expected settings by name"
            raise ValueError(msg)  # noqa: TRY004  bad content of a file, as pydantic's own errors
    return Preset(algorithm=algorithm, environment=environment, settings=settings, **about)
