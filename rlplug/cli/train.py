"""`rlplug train ALGORITHM ENVIRONMENT`: resolve, check, train, and say what came of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rlplug.cli import options, outcome, overrides
from rlplug.cli.runs import find_run
from rlplug.cli.seeds import parse_seeds, train_each
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from rlplug.resolve import Resolved
    from rlplug.train.run import RunResult

Command = overrides.Command
RESUMABLE = ("device", "train.steps", "evaluate.", "checkpoint.", "tracking.", "launch.threads")
"""What may change when a run goes on; anything else would make it another run."""


def command(  # noqa: PLR0913 - one parameter for each option
    ctx: typer.Context,
    algorithm: options.Algorithm = None,
    environment: options.Environment = None,
    *,
    steps: options.Steps = None,
    workers: options.Workers = None,
    envs_per_worker: options.EnvsPerWorker = None,
    seed: options.Seed = None,
    seeds: options.Seeds = None,
    device: options.Device = None,
    preset: options.PresetName = "default",
    config: options.ConfigFile = None,
    run_dir: options.RunRoot = Path("runs"),
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    console: options.ConsoleKind = None,
    as_json: options.AsJson = False,
) -> None:
    """Train an agent in an environment.

    Any setting is an option too: --agent.batch_size 64.

    They are listed by rlplug train ALGORITHM --help.
    """
    asked = overrides.texts(
        ctx,
        seed=seed,
        device=device,
        steps=steps,
        workers=workers,
        envs_per_worker=envs_per_worker,
        console=console or ("off" if as_json else None),
    )
    if resume is not None:
        if seeds is not None or config is not None or preset != "default" or dry_run:
            msg = "--resume goes on as the run was: without --seeds, --config, --preset, --dry-run."
            raise ConfigError(msg)
        result = _resume(find_run(resume, run_dir), (algorithm, environment), asked)
        outcome.show(result, as_json=as_json)
        return
    numbers = parse_seeds(seeds, seed)
    resolved = overrides.resolve(algorithm, environment, preset, config, asked)
    if dry_run:
        outcome.show_plan(resolved, run_dir, numbers, as_json=as_json)
    elif numbers:
        train_each(resolved, numbers, lambda run: _train(run, run_dir), as_json=as_json)
    else:
        outcome.show(_train(resolved, run_dir), as_json=as_json)


def _train(resolved: "Resolved", run_dir: Path) -> "RunResult":
    from rlplug.train.run import train

    return train(resolved, run_root=run_dir, command=sys.argv)


def _resume(
    folder: Path, pair: tuple[str | None, str | None], asked: list[tuple[str, str]]
) -> "RunResult":
    """Go on with a run, with what was asked for over its own settings.

    Raises:
        ConfigError: if that would make it another run.
    """
    from rlplug.resolve import load_run
    from rlplug.train.run import resume

    for name, _ in asked:
        if not name.startswith(RESUMABLE):
            may = ", ".join(one.rstrip(".") for one in RESUMABLE)
            msg = f"{name} cannot change when a run goes on. What may: {may}. Or start a new run."
            raise ConfigError(msg)
    config = load_run(folder, asked).config
    names = (config.algorithm, config.environment)
    if any(other not in {None, name} for name, other in zip(names, pair, strict=True)):
        msg = f"{folder} trains {' on '.join(names)}. Give --resume alone, without other names."
        raise ConfigError(msg)
    return resume(folder, overrides=asked)
