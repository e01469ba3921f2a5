"""`rlplug train ALGORITHM ENVIRONMENT`: resolve, check, train, and say what came of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rlplug.cli import options, outcome, overrides
from rlplug.cli.plan import print_plan
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

    Any setting is an option too: --agent.batch_size 64. rlplug train ALGORITHM --help lists them;
    rlplug show ALGORITHM ENVIRONMENT shows their values.
    """
    given = overrides.Given(
        algorithm,
        environment,
        preset,
        config,
        overrides.shortcuts(ctx) + _console(console, as_json) + overrides.dotted(ctx),
    )
    if resume is not None:
        _refuse_beside_resume(ctx)
        outcome.show(_resume(given, find_run(resume, run_dir)), as_json=as_json)
        return
    resolved = given.resolve()
    if dry_run:
        print_plan(resolved, run_dir)
    elif seeds is not None:
        ...
