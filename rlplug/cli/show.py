"""`rlplug show ALGORITHM ENVIRONMENT`: every setting of a run, and which layer set it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.cli import overrides
from rlplug.cli.completion import complete_algorithm, complete_environment
from rlplug.cli.tables import show_table

if TYPE_CHECKING:
    from rlplug.resolve import Resolved

Command = overrides.Command


def command(  # noqa: PLR0913 - one parameter for each option
    ctx: typer.Context,
    algorithm: Annotated[
        str | None, typer.Argument(help="A registered name.", autocompletion=complete_algorithm)
    ] = None,
    environment: Annotated[
        str | None,
        typer.Argument(
            help="A registered name or a Gymnasium id.", autocompletion=complete_environment
        ),
    ] = None,
    steps: Annotated[str | None, typer.Option(help="As for train.")] = None,
    workers: Annotated[str | None, typer.Option(help="As for train.")] = None,
    envs_per_worker: Annotated[str | None, typer.Option(help="As for train.")] = None,
    seed: Annotated[str | None, typer.Option(help="As for train.")] = None,
    device: Annotated[str | None, typer.Option(help="As for train.")] = None,
    preset: Annotated[str, typer.Option(help="Name of the preset; 'none' for none.")] = "default",
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every setting of a run, and which layer set it.

    Takes what train takes, dotted settings (--agent.batch_size 64) too.
    """
    resolved = overrides.resolve_from(
        ctx,
        algorithm,
        environment,
        preset,
        config,
        {
            "steps": steps,
            "workers": workers,
            "envs_per_worker": envs_per_worker,
            "seed": seed,
            "device": device,
        },
    )
    if as_json:
        print(json.dumps(_as_dict(resolved)))
        return
    rows = [(name, one["value"], one["layer"]) for name, one in values(resolved).items()]
    show_table(
        ("setting", "value", "set by"),
        [(name, json.dumps(value, ensure_ascii=False), layer) for name, value, layer in rows],
    )
    if resolved.preset:
        scored = f"; scored {resolved.preset.scored}" if resolved.preset.scored else ""
        print(f"\nPreset {resolved.preset.name}: {resolved.preset.source}{scored}")


def values(resolved: Resolved) -> dict[str, dict[str, Any]]:
    """Value and layer of each dotted setting."""
    from rlplug.resolve import flatten

    return {
        name: {"value": value, "layer": resolved.layers[name]}
        for name, value in flatten(resolved.config.model_dump(mode="json"))
    }


def _as_dict(resolved: Resolved) -> dict[str, Any]:
    preset = resolved.preset
    about = preset.model_dump(include={"name", "source", "scored"}) if preset else None
    return {
        "algorithm": resolved.config.algorithm,
        "environment": resolved.config.environment,
        "preset": about,
        "settings": values(resolved),
    }
