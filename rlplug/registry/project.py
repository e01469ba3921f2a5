"""The plugin files that a project names once, for every command in its folder.

    [tool.rlplug]
    plugins = ["my_algo.py", "environments/maze.py"]

Paths are relative to the nearest `pyproject.toml`, at or above the working directory.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rlplug.errors import ConfigError, PluginError
from rlplug.registry import entries
from rlplug.registry.file_plugins import load_file
from rlplug.registry.loading import strict

_log = logging.getLogger(__name__)


def load_project(folder: Path | None = None) -> None:
    """Register the files of the project that `folder` (or the working directory) belongs to.

    One that cannot be used is named in a warning, so that it stops no command that does without.

    Raises:
        ConfigError: when `[tool.rlplug]` holds something else.
        PluginError: what is wrong with a file, under `RLPLUG_STRICT_PLUGINS`.
    """
    start = folder or Path.cwd()
    near = (one / "pyproject.toml" for one in (start, *start.parents))
    project = next((file for file in near if file.is_file()), None)
    for path in plugin_files(project) if project else ():
        try:
            load_file(path)
        except (ConfigError, PluginError) as error:
            if strict():
                raise
            _log.warning("%s (named in %s)", error, project)
        else:
            entries.mark_as_projects(path.name)


def plugin_files(project: Path) -> list[Path]:
    """What a `pyproject.toml` names.

    Raises:
        ConfigError: when it names something that is no path, or knows another setting.
    """
    import tomllib

    try:
        text = project.read_text(encoding="utf-8")
        if "tool.rlplug" not in text:  # most have no such table, and need no parser
            return []
        table: Any = tomllib.loads(text).get("tool", {}).get("rlplug", {})
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read, so its plugins are left out: %s", project, error)
        return []
    if unknown := set(table) - {"plugins"}:
        msg = f"{project}: [tool.rlplug] has no setting {min(unknown)!r}; expected plugins."
        raise ConfigError(msg)
    paths = table.get("plugins", [])
    if not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
        msg = f'{project}: plugins is {paths!r}; expected a list of paths: plugins = ["my_algo.py"]'
        raise ConfigError(msg)
    return [project.parent / one for one in paths]
