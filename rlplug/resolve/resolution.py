"""Names and layers of settings become one validated `RunConfig`."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, create_model
from pydantic_core import PydanticSerializationError

from rlplug.config import Config, RunConfig
from rlplug.errors import ConfigError, PluginError, RunFolderError
from rlplug.registry import discovery
from rlplug.resolve.names import Found, find
from rlplug.resolve.sources import (
    Shortcuts,
    file_layer,
    find_preset,
    name_in,
    override_layers,
    preset_layer,
    without_names,
)
from rlplug.settings import yaml_text
from rlplug.settings.layers import DEFAULT, Layer, Merged, merge
from rlplug.settings.words import explain, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Unpack

    from rlplug.specs import AlgorithmSpec, EnvironmentSpec, Preset, TrainerSpec

CONFIG_FILE = "config.yaml"
"""What a run folder keeps its settings in."""
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Resolved:
    """All that is known of a run before any of it is built."""

    config: RunConfig
    algorithm: AlgorithmSpec
    environment: EnvironmentSpec
    trainer: TrainerSpec
    layers: dict[str, str]
    """The layer that set each dotted setting: `default`, `algorithm`, `preset`, `file`,
    `command line` or `argument`."""
    preset: Preset | None = None
    """The preset among them, with its source and score."""


def resolve(
    algorithm: str | AlgorithmSpec | None,
    environment: str | EnvironmentSpec | Callable[..., Any] | None,
    *,
    preset: str | None = "default",
    config: Path | str | RunConfig | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
    **shortcuts: Unpack[Shortcuts],
) -> Resolved:
    """Put the layers of settings for a pair over each other and validate the result.

    The layers, each over the ones before: the config models' defaults, the algorithm's, the
    pair's preset, `config`, the shortcuts, the overrides.

    Args:
        algorithm: A registered name, or a spec; None takes the one that `config` names.
        environment: A registered name, a Gymnasium id, a spec, or a callable that makes an
            environment; None takes the one that `config` names.
        preset: Its name, or None for none. A pair without a default preset does without.
        config: A YAML file, such as a run folder's, or a finished config, as it is or dumped.
        overrides: Dotted or nested values, or (dotted name, text) from a command line.
        shortcuts: Values for the settings in `SHORTCUTS`.

    Raises:
        ConfigError: naming the setting, its value, and what was expected.
        PluginError: if what is registered under a name does not load.
    """
    file = None if config is None else file_layer(config)
    if file:
        algorithm = algorithm or name_in(file, "algorithm")
        environment = environment or name_in(file, "environment")
    found = find(algorithm, environment)
    chosen = find_preset(found, preset)
    layers = [Layer("algorithm", found.algorithm.defaults, f"defaults of {found.algorithm_name}: ")]
    layers += [preset_layer(chosen)] if chosen else []
    layers += [without_names(file, found)] if file else []
    layers += override_layers(overrides, shortcuts)
    return _assemble(found, layers, chosen)


def load_run(
    run_dir: Path | str, overrides: Mapping[str, Any] | Sequence[tuple[str, str]] = ()
) -> Resolved:
    """The settings of an earlier run, from its folder.

    Args:
        run_dir: The run's folder.
        overrides: Dotted or nested values, or (dotted name, text), to put over them.

    Raises:
        RunFolderError: if there is no run in `run_dir`.
        ConfigError: if its settings do not fit this version.
    """
    path = Path(run_dir) / CONFIG_FILE
    if not path.is_file():
        problem = f"has no {CONFIG_FILE}" if Path(run_dir).is_dir() else "does not exist"
        msg = f"{run_dir} {problem}; expected the folder of a run, as train names it at its end."
        raise RunFolderError(msg)
    file = file_layer(path)
    found = find(name_in(file, "algorithm"), name_in(file, "environment"))
    layers = [without_names(file, found), *override_layers(overrides, {})]
    return _assemble(found, layers, None)


def to_yaml(config: RunConfig) -> str:
    """The settings as YAML, which `resolve` takes as `config` and reads back to the same.

    Raises:
        ConfigError: if a value given from Python has no form in YAML.
    """
    try:
        return yaml_text.write(config.model_dump(mode="json"))
    except PydanticSerializationError as error:
        msg = f"A setting cannot be written to {CONFIG_FILE}: {error}; give plain values."
        raise ConfigError(msg) from error


def run_model(algorithm: AlgorithmSpec, env_config: str, trainer: TrainerSpec) -> type[RunConfig]:
    """`RunConfig` with its open sections typed by what is to run."""
    paths = {
        "agent": algorithm.config,
        "replay": trainer.replay_config,
        "env": env_config,
        "train": trainer.config,
    }
    return _run_model(**{name: _section(path) for name, path in paths.items() if path})


@functools.cache
def _run_model(**sections: type[Config]) -> type[RunConfig]:
    """One class for each combination: making one costs more than checking values with it."""
    typed: dict[str, Any] = {name: (section, ...) for name, section in sections.items()}
    return create_model("RunConfig", __base__=RunConfig, **({"replay": (type(None), None)} | typed))


def provenance(config: Config, merged: Merged) -> dict[str, str]:
    """The layer that set each setting of `config`, by dotted name."""
    layers = {}
    for name, _ in flatten(config.model_dump()):
        layer = merged.layer_of(name)
        layers[name] = layer.name if layer else DEFAULT
    return layers


def flatten(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything in nested mappings."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _assemble(found: Found, layers: Iterable[Layer], preset: Preset | None) -> Resolved:
    """Merge the layers, validate them, and check what holds between sections."""
    trainer = discovery.resolve_trainer(found.algorithm.trainer)
    model = run_model(found.algorithm, found.environment.config, trainer)
    names = {"algorithm": found.algorithm_name, "environment": found.environment_name}
    merged = merge(model, [*layers, Layer("command line", names)])
    config = _validated(model, merged)
    if found.algorithm.check:
        discovery.import_string(found.algorithm.check)(config)
    layered = provenance(config, merged)
    return Resolved(config, found.algorithm, found.environment, trainer, layered, preset)


def _validated(model: type[RunConfig], merged: Merged) -> RunConfig:
    try:
        typed = model.model_validate(merged.values)
    except ValidationError as error:
        faults = explain(error, model, merged.values)
        msg = "\n".join(merged.place(name) + sentence for name, sentence in faults)
        raise ConfigError(msg) from error
    config = RunConfig(**{name: getattr(typed, name) for name in RunConfig.model_fields})
    if not _DEVICE.fullmatch(config.device):
        msg = f"device: {show(config.device)} is not auto, cpu, cuda or cuda:N."
        raise ConfigError(msg)
    return config


def _section(path: str) -> type[Config]:
    """The config class that a spec names."""
    section = discovery.import_string(path)
    if isinstance(section, type) and issubclass(section, Config):
        return section
    msg = f"{path} is no rlplug.config.Config subclass; specs name one for each section."
    raise PluginError(msg)
