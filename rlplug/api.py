"""What `import rlplug` offers: the commands of the command line as functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.evaluate import evaluate_run
from rlplug.loaded import load
from rlplug.resolve import resolve
from rlplug.train.initial import InitialWeights
from rlplug.train.run import resume as resume_run
from rlplug.train.run import train as train_resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.config import RunConfig
    from rlplug.evaluate import EvaluationReport
    from rlplug.train.run import RunResult

__all__ = ["evaluate", "load", "resume", "train"]


def train(  # noqa: PLR0913 - the settings that have a short name
    algorithm: str,
    environment: str | Callable[..., Any],
    *,
    steps: float | None = None,
    seed: int | None = None,
    workers: int | str | None = None,
    launcher: str | None = None,
    mode: str | None = None,
    envs_per_worker: int | None = None,
    device: str | None = None,
    preset: str | None = "default",
    config: Path | str | RunConfig | None = None,
    run_dir: Path | str = "runs",
    init_from: Path | str | InitialWeights | None = None,
    **overrides: Any,
) -> RunResult:
    """Train an agent, as `rlplug train` does.

        result = rlplug.train("dqn", "cartpole", steps=50_000, agent={"batch_size": 128})
        policy = rlplug.load(result.run_dir)

    Args:
        algorithm: A registered name.
        environment: A registered name, a Gymnasium id, or a callable that makes an environment.
        steps: Environment steps of the run.
        seed: The one seed that everything is drawn from.
        workers: The environments are divided over so many, of Ray where they are several.
        launcher: local, ray or auto.
        mode: sync or async.
        envs_per_worker: Environments of each worker, outright.
        device: auto, cpu, cuda or cuda:1.
        preset: Its name; None for no preset.
        config: A YAML file of settings, or a finished config.
        run_dir: Where the run's folder is made.
        init_from: Begin with the weights of another run, `RUN` or `RUN:best`; all must fit
            (`InitialWeights.of(source, partial=True)` takes what fits).
        overrides: Settings by section, or by dotted name: `**{"agent.batch_size": 128}`.

    Raises:
        ConfigError: naming the setting, its value, and what was expected; nothing is written.
        RlplugError: what else ended the run.
    """
    resolved = resolve(
        algorithm,
        environment,
        preset=preset,
        config=config,
        overrides=overrides,
        steps=steps,
        seed=seed,
        workers=workers,
        launcher=launcher,
        mode=mode,
        envs_per_worker=envs_per_worker,
        device=device,
    )
    if init_from is not None and not isinstance(init_from, InitialWeights):
        init_from = InitialWeights.of(init_from)
    return train_resolved(resolved, run_root=Path(run_dir), command=sys.argv, init_from=init_from)


def resume(
    run_dir: Path | str, *, steps: float | None = None, device: str | None = None, **overrides: Any
) -> RunResult:
    """Go on with a run, as `rlplug train --resume` does.

        rlplug.resume("runs/cartpole/dqn/20260102-030405-0", steps=200_000)

    Args:
        run_dir: The run's folder.
        steps: Environment steps of the whole run, where it is to become longer.
        device: auto, cpu, cuda or cuda:1.
        overrides: Settings by section, or by dotted name, that leave the past as it was.

    Raises:
        ConfigError: there is nothing left to do, or a setting may not change.
        CheckpointError: no checkpoint can be read, or it does not fit what is installed.
        RunFolderError: there is no such run, or another process has it.
    """
    asked = {"train.steps": steps, "device": device}
    given = {name: value for name, value in asked.items() if value is not None}
    return resume_run(Path(run_dir), overrides=overrides | given)


def evaluate(run_dir: Path | str, **options: Any) -> EvaluationReport:
    """Play whole episodes with a run's policy, as `rlplug eval` does.

    Args:
        run_dir: The run's folder.
        options: episodes, seed, checkpoint, mode, device, video, render, evaluation_set, as
            `rlplug.evaluate.evaluate_run` takes them.
    """
    return evaluate_run(Path(run_dir), **options)
