"""From a resolved config to a trained agent: build the parts, run the loop, keep the folder true.

train(resolved)  ─► new run folder ──┐
resume(run_dir)  ─► its checkpoint ──┴─► build ─► trainer.run ─► final evaluation ─► RunResult
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rlplug.checkpoint import CheckpointInfo, CheckpointStore, load_checkpoint
from rlplug.envs.space_json import SPACES_FILE, spaces_to_json
from rlplug.errors import CheckpointError, ConfigError, InterruptedRunError, RlplugError
from rlplug.registry import discovery
from rlplug.registry.hookspecs import Outcome, RunFinished, RunStarted, load_hooks
from rlplug.resolve import check, load_run
from rlplug.run_folder import RunFolder
from rlplug.tracking import summary
from rlplug.train.build import build, compute_threads, total_env_steps
from rlplug.train.outputs import Outputs
from rlplug.train.reporting import open_trackers
from rlplug.train.signals import StopSignals
from rlplug.train.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rlplug.checkpoint import LoadedCheckpoint
    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import Trainer
    from rlplug.registry.hookspecs import Hooks
    from rlplug.resolve import Resolved
    from rlplug.train.context import RunContext


class RunResult(NamedTuple):
    """What came of a run."""

    run_dir: Path
    env_steps: int
    evaluation: EvaluationReport
    """Of the policy at the end, not the best on the way."""
    stopped_by: str | None
    """A hook's reason, where the run ended before its last step."""


def train(
    resolved: Resolved, *, run_root: Path = Path("runs"), command: Sequence[str] = ()
) -> RunResult:
    """Train from the start, in a new folder under `run_root`.

    Raises:
        IncompatibleError: the algorithm cannot work in the environment; nothing is written.
        RlplugError: what else ended the run; its folder says so, and keeps its checkpoints.
    """
    spaces = check(resolved)
    versions = _plugin_versions(resolved)
    with RunFolder.create(run_root, resolved.config, command=command, versions=versions) as folder:
        text = json.dumps(spaces_to_json(*spaces))
        (folder.path / SPACES_FILE).write_text(text + "\n", encoding="utf-8")
        return _run(resolved, folder, None)


def resume(run_dir: Path, *, overrides: Sequence[tuple[str, str]] = ()) -> RunResult:
    """Go on from a run's newest checkpoint, in its own folder.

    Args:
        run_dir: The run's folder.
        overrides: (dotted name, text) of settings that may change, such as `train.steps`.

    Raises:
        ConfigError: there is nothing left to do.
        CheckpointError: no checkpoint can be read.
        RunFolderError: another process has the run.
    """
    with RunFolder.open(run_dir).lock() as folder:
        resolved = load_run(folder.path, overrides)
        store = CheckpointStore(folder.path, resolved.config.checkpoint)
        newest = store.newest()
        if newest is None:
            msg = f"{folder.path} has no checkpoint that can be read; train it anew."
            raise CheckpointError(msg)
        checkpoint = load_checkpoint(newest)
        total = total_env_steps(resolved.config)
        if checkpoint.info.env_steps >= total:
            msg = (
                f"{folder.path} has already finished its {total:,} environment steps. To go on, "
                f"give it more: rlplug train --resume {folder.path} --steps {2 * total}"
            )
            raise ConfigError(msg)
        store.discard_after(checkpoint.info.env_steps)
        folder.rewrite_config(resolved.config)
        folder.update(state="running", outcome=None)
        return _run(resolved, folder, checkpoint)


def _run(resolved: Resolved, folder: RunFolder, checkpoint: LoadedCheckpoint | None) -> RunResult:
    """Build, train and close, with the folder's record kept true whatever ends it."""
    config, hooks = resolved.config, load_hooks()
    total = total_env_steps(config)
    resume_at = checkpoint.info.env_steps if checkpoint else None
    with contextlib.ExitStack() as stack:
        trackers = stack.enter_context(
            open_trackers(config, folder.path, total_env_steps=total, resume_at=resume_at)
        )
        signals = stack.enter_context(StopSignals())
        stack.enter_context(_recorded(folder, hooks))
        run = stack.enter_context(contextlib.closing(build(resolved, folder.path)))
        stack.enter_context(compute_threads(config, run.agent))
        outputs = Outputs(
            folder.path,
            trackers=trackers,
            checkpoints=CheckpointStore(folder.path, config.checkpoint, warn=trackers.message),
            hooks=hooks,
            about=CheckpointInfo(
                env_steps=0,
                algorithm=config.algorithm,
                environment=config.environment,
                versions=_plugin_versions(resolved),
            ),
        )
        supervisor = Supervisor(run, outputs, signals, total_env_steps=total)
        trainer = discovery.import_string(resolved.trainer.trainer)(run, supervisor)
        if checkpoint is not None:
            _restore(run, supervisor, trainer, checkpoint)
        hooks.run_started(RunStarted(folder.path, config, resume_at or 0))
        report = _drive(trainer, supervisor, folder, is_new=checkpoint is None)
        result = RunResult(folder.path, run.collector.env_steps, report, supervisor.stop_reason)
        trackers.close()
        trackers.console.summary(
            summary(
                folder.path,
                env_steps=result.env_steps,
                seconds=supervisor.training_seconds,
                evaluation=report,
                problems=trackers.problems,
            )
        )
    folder.update(
        state="finished",
        outcome=result.stopped_by,
        env_steps=result.env_steps,
        evaluation=report.to_dict(),
    )
    outcome: Outcome = "stopped" if result.stopped_by else "finished"
    hooks.run_finished(RunFinished(result.env_steps, outcome, result.stopped_by or ""))
    return result


def _drive(
    trainer: Trainer, supervisor: Supervisor, folder: RunFolder, *, is_new: bool
) -> EvaluationReport:
    """Run the loop; an error that ends it says where to go on from."""
    try:
        if is_new:
            supervisor.start(trainer)
        trainer.run()
        return supervisor.finish(trainer)
    except InterruptedRunError:
        raise
    except RlplugError as error:
        last = supervisor.last_checkpoint
        if last is None or str(last) in str(error):
            raise
        msg = f"{error} Last checkpoint: {last} (resume: rlplug train --resume {folder.path})"
        raise type(error)(msg) from error


def _restore(
    run: RunContext, supervisor: Supervisor, trainer: Trainer, checkpoint: LoadedCheckpoint
) -> None:
    """Put every part back to where the checkpoint left it."""
    state = checkpoint.state
    run.agent.load_state_dict(state["agent"])
    run.collector.load_state_dict(state["collector"])
    supervisor.load_state_dict(state["supervisor"])
    trainer.load_state_dict(state["trainer"])
    if run.replay is not None and "replay" in state:
        run.replay.load_state_dict(state["replay"])
        run.replay.cut(run.collector.restarted)
    elif run.replay is not None:
        trainer.warm_up_again()


@contextlib.contextmanager
def _recorded(folder: RunFolder, hooks: Hooks) -> Iterator[None]:
    """Where an error ends the run, say so in run.json and to the hooks, and let it go on."""
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, InterruptedRunError | KeyboardInterrupt)
        reason = str(error) or type(error).__name__
        with contextlib.suppress(RlplugError):  # the error that ended the run is the one to tell
            folder.update(state="interrupted" if interrupted else "crashed", outcome=reason)
        outcome: Outcome = "interrupted" if interrupted else "failed"
        hooks.run_finished(RunFinished(folder.record.env_steps, outcome, reason))
        raise


def _plugin_versions(resolved: Resolved) -> dict[str, str]:
    """By distribution: who provides the algorithm and the environment."""
    config = resolved.config
    providers = (
        discovery.provider("algorithms", config.algorithm),
        discovery.provider("environments", config.environment),
    )
    return {each.distribution: each.version for each in providers if each is not None}
