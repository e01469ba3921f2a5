"""`rlplug train ALGORITHM ENVIRONMENT`: resolve, check, train, and say what came of it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rlplug.cli import options, outcome, overrides
from rlplug.cli.runs import AUTO, find_run, find_source
from rlplug.cli.seeds import parse_seeds, train_each
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from rlplug.resolve import Resolved
    from rlplug.train.run import RunResult

Command = overrides.Command
_ALONE = (
    "--resume goes on as the run was: without --seeds, --config, --preset, --init-from, --dry-run. "
    "(--resume auto takes them: it looks for the run that this command began.)"
)


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
    seeds: options.Seeds = None,
    device: options.Device = None,
    preset: options.PresetName = "default",
    config: options.ConfigFile = None,
    run_dir: options.RunRoot = Path("runs"),
    resume: options.Resume = None,
    init_from: options.InitFrom = None,
    init_partial: options.InitPartial = False,
    dry_run: options.DryRun = False,
    console: options.ConsoleKind = None,
    as_json: options.AsJson = False,
) -> None:
    """Train an agent in an environment.

    Any setting is an option too: --agent.batch_size 64.

    They are listed by rlplug train ALGORITHM --help.
    """
    del steps, workers, launcher, mode, cluster, envs_per_worker, env_timeout, device
    asked = overrides.texts(ctx, console=console or ("off" if as_json else None))
    if init_from is None and init_partial:
        raise ConfigError("--init-partial says how --init-from is taken; name a run with that.")
    if resume is not None and resume != AUTO:
        if seeds is not None or config is not None or preset != "default" or dry_run or init_from:
            raise ConfigError(_ALONE)
        pair = (algorithm, environment)
        outcome.show(_resume(find_run(resume, run_dir), pair, asked), as_json=as_json)
        return
    resolved = overrides.resolve(algorithm, environment, preset, config, asked)
    begin = _Begin(run_dir, find_source(init_from, run_dir), init_partial, resume == AUTO)
    _train(resolved, begin, parse_seeds(seeds, seed), dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True)
class _Begin:
    """How each run of a command begins."""

    run_root: Path
    init_from: str | None
    init_partial: bool
    resume_auto: bool

    def __call__(self, resolved: "Resolved") -> "RunResult":
        """Train anew, or go on with the run of these settings that has not finished."""
        from rlplug.train.initial import InitialWeights
        from rlplug.train.resuming import newest_unfinished
        from rlplug.train.run import resume, train

        if self.resume_auto and (found := newest_unfinished(self.run_root, resolved.config)):
            return resume(found, overrides=[])
        if self.init_from is None:
            return train(resolved, run_root=self.run_root, command=sys.argv)
        weights = InitialWeights.of(self.init_from, partial=self.init_partial)
        return train(resolved, run_root=self.run_root, command=sys.argv, init_from=weights)


def _train(
    resolved: "Resolved", begin: _Begin, seeds: list[int], *, dry_run: bool, as_json: bool
) -> None:
    """One run, one for each seed, or what they would be."""
    if dry_run:
        outcome.show_plan(resolved, begin.run_root, seeds, as_json=as_json)
    elif seeds:
        train_each(resolved, seeds, begin, as_json=as_json)
    else:
        outcome.show(begin(resolved), as_json=as_json)


def _resume(
    folder: Path, pair: tuple[str | None, str | None], asked: list[tuple[str, str]]
) -> "RunResult":
    """Go on with a run, with what was asked for over its own settings.

    Raises:
        ConfigError: if that would make it another run.
    """
    from rlplug.resolve import CONFIG_FILE, load_run
    from rlplug.run_folder import RunFolder
    from rlplug.train.resuming import require_resumable
    from rlplug.train.run import resume

    if not (folder / CONFIG_FILE).exists():
        run = RunFolder.open(folder).path
        msg = (
            f"{folder} lies in the run {run}, which goes on from its newest checkpoint: --resume "
            f"{run}. For a new run with the weights of another one: --init-from {run}:CHECKPOINT."
        )
        raise ConfigError(msg)
    require_resumable(name for name, _ in asked)
    config = load_run(folder, asked).config
    names = (config.algorithm, config.environment)
    if any(other not in {None, name} for name, other in zip(names, pair, strict=True)):
        msg = f"{folder} trains {' on '.join(names)}. Give --resume alone, without other names."
        raise ConfigError(msg)
    return resume(folder, overrides=asked)
