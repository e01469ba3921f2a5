"""The layers of a run's settings, each from its own place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rlplug.config import RunConfig
from rlplug.errors import ConfigError
from rlplug.foreign_files import read_small_file
from rlplug.registry import discovery
from rlplug.resolve.names import find
from rlplug.settings.fields import Text
from rlplug.settings.layers import Layer, nest
from rlplug.settings.words import show
from rlplug.settings.yaml_text import read_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rlplug.resolve.names import Found
    from rlplug.specs import Preset


_MOST_BYTES = 10_000_000
"""Of a file of settings, which has a few thousand."""


class Shortcuts(TypedDict, total=False):
    """Settings with a short name; None leaves them to the layers below."""

    seed: int | str | None
    device: str | None
    steps: float | str | None
    workers: int | str | None
    launcher: str | None
    mode: str | None
    cluster: str | None
    envs_per_worker: int | str | None
    env_timeout: float | str | None


SHORTCUTS = {
    "seed": "seed",
    "device": "device",
    "steps": "train.steps",
    "workers": "launch.workers",
    "launcher": "launch.launcher",
    "mode": "launch.mode",
    "cluster": "launch.cluster",
    "envs_per_worker": "launch.envs_per_worker",
    "env_timeout": "launch.env_timeout_seconds",
}
"""The setting that each shortcut stands for."""


def file_layer(config: Path | str | RunConfig | Mapping[str, Any]) -> Layer:
    """The settings of a YAML file, or of a finished config, as it is or dumped.

    Raises:
        ConfigError: naming the file and the line, if it cannot be read as settings.
    """
    if isinstance(config, RunConfig):
        return Layer("file", config.model_dump(), "config: ")
    if isinstance(config, Mapping):
        return Layer("file", dict(config), "config: ")
    path = Path(config)
    try:
        # a pipe is read to its end: `--config <(...)`
        content = read_small_file(path, _MOST_BYTES) if path.is_file() else path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        msg = f"The config file {path} cannot be read: {reason}."
        raise ConfigError(msg) from error
    values, lines = read_document(text, str(path))
    return Layer("file", values, f"{path}, line {{line}}: ", lines)


def name_in(file: Layer, key: str) -> str | None:
    """The name that a file of settings gives for `algorithm` or `environment`.

    Raises:
        ConfigError: if it is not text.
    """
    name = file.values.get(key)
    if name is None or isinstance(name, str):
        return name
    raise ConfigError(f"{file.place(key)}{key}: {show(name)} is not text.")


def without_names(file: Layer, asked: Found) -> Layer:
    """Drop the names that a file of settings may carry, where they lead to what is asked for.

    Raises:
        ConfigError: if it is about another algorithm or environment.
    """
    written = (
        name_in(file, "algorithm") or asked.algorithm_name,
        name_in(file, "environment") or asked.environment_name,
    )
    if written != (asked.algorithm_name, asked.environment_name):
        found = find(*written)
        if (found.algorithm, found.environment) != (asked.algorithm, asked.environment):
            msg = (
                f"{file.place('algorithm')}these are settings for {' on '.join(written)}, but "
                f"{asked.algorithm_name} on {asked.environment_name} is asked for. Remove the "
                "names from the file to use them all the same."
            )
            raise ConfigError(msg)
    names = {"algorithm", "environment"}
    return file._replace(values={k: v for k, v in file.values.items() if k not in names})


def preset_layer(preset: Preset) -> Layer:
    """A preset's settings."""
    title = f"preset {show(preset.name)} of {preset.algorithm} on {preset.environment}: "
    return Layer("preset", preset.settings, title)


def find_preset(pair: Found, name: str | None) -> Preset | None:
    """The preset of this name for a pair; None where a pair has no default one.

    Raises:
        ConfigError: if another than the default is asked for and not there.
    """
    if name is None:
        return None
    names = pair.algorithm_name, pair.environment_name
    found = {preset.name: preset for preset in discovery.presets(*names)}
    if name in found or name == "default":
        return found.get(name)
    there = ", ".join(found) or "none"
    msg = f"There is no preset {show(name)} of {' on '.join(names)}; there is: {there}."
    raise ConfigError(msg)


def override_layers(
    overrides: Mapping[str, Any] | Sequence[tuple[str, str]], shortcuts: Shortcuts
) -> Iterator[Layer]:
    """What was given on the command line, or to the function that is called.

    Shortcuts come first, then the shallow names, then the deep ones: `agent.head iqn` chooses the
    slot that `agent.head.num_samples 8` then sets, in whatever order they were given.
    """
    if isinstance(overrides, Mapping):
        pairs, name = list(overrides.items()), "argument"
    else:
        pairs, name = [(key, Text(text)) for key, text in overrides], "command line"
    short = [
        (SHORTCUTS[key], Text(value) if isinstance(value, str) else value)
        for key, value in shortcuts.items()
        if value is not None
    ]
    for values in (*nest(short), *nest(pairs)):
        yield Layer(name, values)
