"""What `import rlplug` offers: the commands of the command line as functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.evaluate import evaluate_run
from rlplug.loaded import load
from rlplug.resolve import resolve
from rlplug.train.run import train as train_resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.config import RunConfig
    from rlplug.evaluate import EvaluationReport
    from rlplug.train.run import RunResult

__all__ = ["evaluate", "load", "train"]


def train(  # noqa: PLR0913 - the settings that have a short name
    algorithm: str,
    environment: str | Callable[..., Any],
    *,
    steps: float | None = None,
    seed: int | None = None,
    workers: int | None = None,
    envs_per_worker: int | None = None,
    device: str | None = None,
    preset: str | None = "default",
    config: Path | str | RunConfig | None = None,
    run_dir: Path | str = "runs",
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
        workers: The environments are divided over so many.
        envs_per_worker: Environments of each worker, outright.
        device: auto, cpu, cuda or cuda:1.
        preset: Its name; None for no preset.
        config: A YAML file of settings, or a finished config.
        run_dir: Where the run's folder is made.
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
        envs_per_worker=envs_per_worker,
        device=device,
    )
    return train_resolved(resolved, run_root=Path(run_dir), command=sys.argv)


def evaluate(run_dir: Path | str, **options: Any) -> EvaluationReport:
    """Play whole episodes with a run's policy, as `rlplug eval` does.

    Args:
        run_dir: The run's folder.
        options: episodes, seed, checkpoint, mode, device, video, render, evaluation_set, as
            `rlplug.evaluate.evaluate_run` takes them.
    """
    return evaluate_run(Path(run_dir), **options)
