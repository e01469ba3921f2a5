"""`rlplug show ALGORITHM ENVIRONMENT`: every setting of a run, and which layer set it."""

import json
from typing import TYPE_CHECKING, Any

import typer

from rlplug.cli import options, overrides
from rlplug.cli.tables import show_table

if TYPE_CHECKING:
    from rlplug.resolve import Resolved

Command = overrides.Command


def command(  # noqa: PLR0913 - one parameter for each option
    ctx: typer.Context,
    algorithm: options.Algorithm = None,
    environment: options.Environment = None,
    *,
    steps: options.Steps = None,
    workers: options.Workers = None,
    launcher: options.Launcher = None,
    mode: options.Mode = None,
    cluster: options.Cluster = None,
    envs_per_worker: options.EnvsPerWorker = None,
    env_timeout: options.EnvTimeout = None,
    seed: options.Seed = None,
    device: options.Device = None,
    preset: options.PresetName = "default",
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Show every setting of a run, and which layer set it.

    Takes what train takes, any setting too: --agent.batch_size 64.
    """
    del steps, workers, launcher, mode, cluster, envs_per_worker, env_timeout, seed, device
    asked = overrides.texts(ctx)
    resolved = overrides.resolve(algorithm, environment, preset, config, asked)
    if as_json:
        print(json.dumps(_as_dict(resolved)))
        return
    rows = [
        (name, overrides.typed(one["value"]), one["layer"])
        for name, one in values(resolved).items()
    ]
    show_table(("setting", "value", "set by"), rows)
    if resolved.preset:
        scored = f"; scored {resolved.preset.scored}" if resolved.preset.scored else ""
        print(f"\nPreset {resolved.preset.name}: {resolved.preset.source}{scored}")


def values(resolved: "Resolved") -> dict[str, dict[str, Any]]:
    """Value and layer of each dotted setting."""
    from rlplug.resolve import flatten

    return {
        name: {"value": value, "layer": resolved.layers[name]}
        for name, value in flatten(resolved.config.model_dump(mode="json"))
    }


def _as_dict(resolved: "Resolved") -> dict[str, Any]:
    preset = resolved.preset
    about = preset.model_dump(include={"name", "source", "scored"}) if preset else None
    return {
        "algorithm": resolved.config.algorithm,
        "environment": resolved.config.environment,
        "preset": about,
        "settings": values(resolved),
    }
