"""Going on from a checkpoint in a new process."""

from __future__ import annotations

import functools
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from rlplug.errors import CheckpointError
from rlplug.testing.global_state import isolated
from rlplug.testing.short_run import ShortRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlplug.data import Array
    from rlplug.protocols import State
    from rlplug.resolve import Resolved

_PATIENCE = 120.0
"""Seconds until a process that does not answer is given up."""


def saved_and_loaded(state: Mapping[str, State], folder: Path) -> dict[str, State]:
    """A state through a checkpoint and back.

    Raises:
        CheckpointError: it holds something that cannot be saved.
    """
    path = save_checkpoint(folder, state, info=CheckpointInfo(env_steps=0))
    return load_checkpoint(path).state


def continued_elsewhere(
    resolved: Resolved, state: Mapping[str, State], env_steps: int, folder: Path
) -> tuple[dict[str, State], list[Array]]:
    """The state at the end of a run that a new process continues, and the actions on the way.

    Raises:
        CheckpointError: the state cannot be saved, or the process failed; with what it said.
    """
    checkpoint = save_checkpoint(folder / "half", state, info=CheckpointInfo(env_steps=env_steps))
    context = _context()
    here, there = context.Pipe(duplex=False)
    process = context.Process(
        target=_go_on, args=(there, resolved, str(checkpoint), str(folder)), daemon=True
    )
    process.start()
    there.close()
    try:
        answer = here.recv() if here.poll(_PATIENCE) else f"no answer in {_PATIENCE:.0f} seconds"
    except EOFError:
        answer = "the process ended without an answer"
    finally:
        process.join(1.0)
        if process.is_alive():
            process.terminate()
            process.join()
        here.close()
    if isinstance(answer, str):
        raise CheckpointError(answer)
    path, actions = answer
    return load_checkpoint(Path(path)).state, actions


def _go_on(connection: Any, resolved: Resolved, checkpoint: str, folder: str) -> None:
    """Continue a run to its end; what goes wrong is sent as text."""
    try:
        with isolated():
            run = ShortRun(resolved, Path(folder))
            run.load(load_checkpoint(Path(checkpoint)).state)
            run.train()
            info = CheckpointInfo(env_steps=run.collector.env_steps)
            path = save_checkpoint(Path(folder) / "resumed", run.state(), info=info)
            run.parts.close()
        connection.send((str(path), run.actions()))
    except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
        connection.send(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


@functools.cache
def _context() -> Any:
    """New processes that have imported what a run needs, and know nothing else of this one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "rlplug.testing.continuation"])
    return context
