"""From a resolved config to a trained agent: build the parts, run the loop, keep the folder true.

train(resolved)  ─► new run folder ──┐
resume(run_dir)  ─► its checkpoint ──┴─► build ─► trainer.run ─► final evaluation ─► RunResult
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.checkpoint import CheckpointInfo, CheckpointStore, load_checkpoint
from rlplug.distributed.choice import settle
from rlplug.envs.space_json import SPACES_FILE, spaces_to_json
from rlplug.errors import (
    CheckpointError,
    ConfigError,
    InterruptedRunError,
    PluginError,
    RlplugError,
)
from rlplug.registry import discovery
from rlplug.registry.entries import plugin_options
from rlplug.registry.hooks import hooks_for
from rlplug.resolve import check, flatten, load_run
from rlplug.run_folder import RunFolder
from rlplug.train.build import build, choose_device, total_env_steps
from rlplug.train.compute import compute_threads, keep_freed_memory, start_threads
from rlplug.train.initial import InitialWeights, take_weights
from rlplug.train.outputs import Outputs
from rlplug.train.reporting import open_trackers
from rlplug.train.restoring import Origin, restore
from rlplug.train.resuming import require_resumable, with_choices
from rlplug.train.signals import StopSignals
from rlplug.train.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rlplug.evaluate import EvaluationReport
    from rlplug.protocols import Trainer
    from rlplug.registry.hooks import Hooks
    from rlplug.resolve import Resolved


class RunResult(NamedTuple):
    """What came of a run."""

    run_dir: Path
    env_steps: int
    evaluation: EvaluationReport
    """Of the policy at the end, not the best on the way."""
    stopped_by: str | None
    """A hook's reason, where the run ended before its last step."""


def train(
    resolved: Resolved,
    *,
    run_root: Path = Path("runs"),
    command: Sequence[str] = (),
    init_from: InitialWeights | None = None,
) -> RunResult:
    """Train from the start, in a new folder under `run_root`.

    Args:
        resolved: The run's settings.
        run_root: Folder of all runs.
        command: As it was typed, for the record.
        init_from: Begin with these weights.

    Raises:
        ConfigError: the settings cannot work; no folder is left.
        RlplugError: what else ended the run; its folder says so, and keeps its checkpoints.
    """
    start_threads()
    spaces = check(resolved)
    settled, choice = settle(resolved)
    hooks = hooks_for(resolved.config, resolved.algorithm, resolved.environment)
    with (
        StopSignals() as signals,
        RunFolder.create(
            run_root,
            resolved.config,
            command=command,
            versions=_plugin_versions(resolved),
            files={SPACES_FILE: json.dumps(spaces_to_json(*spaces)) + "\n"},
        ) as folder,
    ):
        try:
            if init_from is not None:
                folder.update(initialized_from=str(init_from.checkpoint))
            return _run(settled, folder, signals, hooks, init_from, choice)
        except ConfigError:
            if not any(folder.checkpoints.iterdir()):  # it never began: leave nothing behind
                shutil.rmtree(folder.path)
            raise


def resume(
    run_dir: Path, *, overrides: Mapping[str, Any] | Sequence[tuple[str, str]] = ()
) -> RunResult:
    """Go on from a run's newest checkpoint, in its own folder.

    Args:
        run_dir: The run's folder.
        overrides: Values, or (dotted name, text), of settings that may change: `train.steps`.

    Raises:
        ConfigError: there is nothing left to do, or a setting may not change.
        CheckpointError: no checkpoint can be read.
        RunFolderError: another process has the run.
    """
    names = flatten(overrides) if isinstance(overrides, Mapping) else overrides
    require_resumable(name for name, _ in names)
    start_threads()
    with StopSignals() as signals, RunFolder.open(run_dir).lock() as folder:
        resolved = load_run(folder.path, overrides)
        asked = resolved.config
        kept = with_choices(asked, folder.record.chosen)
        resolved = dataclasses.replace(resolved, config=kept)
        check(resolved)
        hooks = hooks_for(resolved.config, resolved.algorithm, resolved.environment)
        store = CheckpointStore(folder.path, resolved.config.checkpoint)
        newest = store.newest()
        if newest is None:
            msg = f"{folder.path} has no checkpoint that can be read; train it anew."
            raise CheckpointError(msg)
        checkpoint = load_checkpoint(newest)
        total = total_env_steps(resolved.config)
        done = checkpoint.info.env_steps
        if done >= total and (names or folder.record.state == "finished"):
            # else it was ended in its last evaluation, which is what is left
            msg = (
                f"{folder.path} has already made {done:,} of {total:,} environment steps. To go "
                f"on, give it more: rlplug train --resume {folder.path} --steps {2 * done}"
                f"{plugin_options()}"
            )
            raise ConfigError(msg)
        store.discard_after(done)
        folder.rewrite_config(asked)
        folder.update(state="running", outcome=None)
        settled, choice = settle(resolved)
        return _run(settled, folder, signals, hooks, Origin(newest, checkpoint), choice)


def _run(
    resolved: Resolved,
    folder: RunFolder,
    signals: StopSignals,
    hooks: Hooks,
    origin: Origin | InitialWeights | None,
    choice: str = "",
) -> RunResult:
    """Train, with the folder's record kept true and the outputs told, whatever ends it."""
    config = resolved.config
    resume_at = origin.checkpoint.info.env_steps if isinstance(origin, Origin) else None
    total = total_env_steps(config)
    with (
        _recorded(folder),
        open_trackers(config, folder.path, total_env_steps=total, resume_at=resume_at) as trackers,
    ):
        if choice:
            trackers.message(choice)
        hooks.tell_problems()
        outputs = Outputs(
            folder,
            trackers=trackers,
            checkpoints=CheckpointStore(
                folder.path, config.checkpoint, warn=trackers.message, logs=[folder.metrics]
            ),
            config=config.checkpoint,
            hooks=hooks,
            about=CheckpointInfo(
                env_steps=resume_at or 0,
                algorithm=config.algorithm,
                environment=config.environment,
                versions=_plugin_versions(resolved),
            ),
        )
        with _told(outputs):
            result = _train(resolved, outputs, signals, origin)
            folder.update(state="finished", outcome=result.stopped_by)
        outputs.ended("stopped" if result.stopped_by else "finished", result.stopped_by or "")
    if signals.received is not None:
        msg = f"{signals.name} came when the run had ended; {folder.path} is complete."
        raise InterruptedRunError(msg, exit_code=signals.exit_code)
    return result


def _train(
    resolved: Resolved,
    outputs: Outputs,
    signals: StopSignals,
    origin: Origin | InitialWeights | None,
) -> RunResult:
    """Build the parts, run the loop, and release them."""
    config = resolved.config
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(contextlib.closing(build(resolved, outputs.run_dir)))
        threads = stack.enter_context(compute_threads(config, run.agent))
        supervisor = Supervisor(run, outputs, signals, total_env_steps=total_env_steps(config))
        trainer = discovery.import_string(resolved.trainer.trainer)(run, supervisor)
        if isinstance(origin, Origin):
            restore(run, supervisor, trainer, origin, _plugin_versions(resolved))
            outputs.saving.continue_from(origin.path)
            outputs.restore_hooks(origin.checkpoint.state.get("hooks", {}))
        elif origin is not None:
            outputs.initialized(str(take_weights(run.agent, origin)), origin.checkpoint)
        outputs.started(config)
        outputs.chosen(
            {
                "device": choose_device(config.device),
                "launch.threads": threads,
                "launch.launcher": config.launch.launcher or "local",
                "launch.workers": config.launch.num_workers,
            }
        )
        report = _drive(trainer, supervisor, outputs, is_new=not isinstance(origin, Origin))
        result = RunResult(outputs.run_dir, run.collector.env_steps, report, supervisor.stop_reason)
    outputs.completed(supervisor.training_seconds, result.stopped_by)
    return result


def _drive(
    trainer: Trainer, supervisor: Supervisor, outputs: Outputs, *, is_new: bool
) -> EvaluationReport:
    """Run the loop; an error that ends it says where to go on from."""

    def hint() -> str:
        outputs.saving.end()
        last = supervisor.last_checkpoint
        resume = f"(resume: rlplug train --resume {outputs.run_dir}{plugin_options()})"
        return f"Last checkpoint: {last} {resume}" if last else "There is no checkpoint yet."

    try:
        if is_new:
            supervisor.start(trainer)
        else:
            supervisor.resume(trainer)
        trainer.run()
        return supervisor.finish(trainer)
    except InterruptedRunError:
        raise
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"Stopped at once. {hint()}") from error
    except SystemExit as error:
        msg = f"The environment or the agent called sys.exit({error.code!r}); expected an error"
        raise PluginError(f"{msg} that says what is wrong. {hint()}") from error
    except RlplugError as error:
        if error.is_resumable:
            supervisor.save(trainer)
        told = hint()
        if str(supervisor.last_checkpoint) not in str(error):
            error.args = (f"{error} {told}",)
        raise
    except Exception as error:
        error.add_note(hint())
        raise


@contextlib.contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """Where an error ends the run, say so in run.json, and let it go on."""
    try:
        yield
    except BaseException as error:
        if folder.record.state == "running":
            with contextlib.suppress(RlplugError):  # what ended the run is the error to tell
                state = "interrupted" if _is_interrupt(error) else "crashed"
                folder.update(state=state, outcome=_reason(error))
        raise


@contextlib.contextmanager
def _told(outputs: Outputs) -> Iterator[None]:
    """Where an error ends the run, tell the log and the hooks, and let it go on."""
    try:
        yield
    except BaseException as error:
        outputs.ended("interrupted" if _is_interrupt(error) else "failed", _reason(error))
        raise


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error, InterruptedRunError | KeyboardInterrupt)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, RlplugError) else f"{type(error).__name__}: {error}"


def _plugin_versions(resolved: Resolved) -> dict[str, str]:
    """By distribution: who provides the algorithm and the environment."""
    config = resolved.config
    providers = (
        discovery.provider("algorithms", config.algorithm),
        discovery.provider("environments", config.environment),
    )
    return {each.distribution: each.version for each in providers if each is not None}
