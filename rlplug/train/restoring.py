"""Every part of a run back to where a checkpoint left it: all of it, or none of the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.checkpoint import LoadedCheckpoint, differing_leaf, versions_that_differ
from rlplug.errors import CheckpointError, RlplugError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlplug.protocols import State, Trainer
    from rlplug.train.context import RunContext
    from rlplug.train.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where a resumed run goes on from."""

    path: Path
    checkpoint: LoadedCheckpoint


def restore(
    run: RunContext,
    supervisor: Supervisor,
    trainer: Trainer,
    origin: Origin,
    versions: Mapping[str, str],
) -> None:
    """Put every part back; `versions` are those of the plugins used now.

    A plugin of another version may translate the agent's state first: its agent then has
    `migrate_state(state, versions)`, with the versions that wrote it by package.

    Raises:
        CheckpointError: a part does not take its state, with the versions that wrote and read it.
    """
    info, state = origin.checkpoint
    others = versions_that_differ(info.versions, versions)
    if others:
        _log.warning(
            "The checkpoint was written with %s. It is loaded as it is; what follows may differ "
            "from the run that was never stopped.",
            others,
        )
    try:
        _load(run, supervisor, trainer, state, info.versions if others else {})
    except RlplugError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(_refusal(origin.path, what, others)) from error
    parts: dict[str, Any] = {"agent": run.agent}
    if not len(run.collector.restarted):  # else the trainer has cut what cannot be continued
        parts["trainer"] = trainer
    for name, part in parts.items():
        if leaf := differing_leaf(state[name], part.state_dict()):
            what = f"after loading, {leaf!r} of the {name} is not what was saved"
            raise CheckpointError(_refusal(origin.path, what, others))
    if run.replay is not None and "replay" not in state:
        trainer.warm_up_again()
    state.pop("replay", None)  # a large one must not stay in memory twice


def _load(
    run: RunContext,
    supervisor: Supervisor,
    trainer: Trainer,
    state: dict[str, State],
    written_by: Mapping[str, str],
) -> None:
    migrate: Any = getattr(run.agent, "migrate_state", None)
    if written_by and migrate is not None:
        state["agent"] = migrate(state["agent"], dict(written_by))
    run.agent.load_state_dict(state["agent"])
    run.collector.load_state_dict(state["collector"])
    supervisor.load_state_dict(state["supervisor"])
    trainer.load_state_dict(state["trainer"])
    if run.replay is not None and "replay" in state:
        run.replay.load_state_dict(state["replay"])
        run.replay.cut(run.collector.restarted)


def _refusal(path: Path, what: str, others: str) -> str:
    because = f" It was written with {others}." if others else ""
    return (
        f"Checkpoint {path} does not fit what is installed: {what}.{because} Install the versions "
        "that wrote it, or train again."
    )
