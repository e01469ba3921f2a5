"""A new run from the weights of another: networks and normalisers, nothing that has a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.checkpoint import best_checkpoint, load_component, newest_checkpoint
from rlplug.errors import CheckpointError, ConfigError
from rlplug.run_folder import RunFolder

if TYPE_CHECKING:
    from rlplug.protocols import Agent, State

_SHOWN = 12
"""Names that a message lists."""


class InitialWeights(NamedTuple):
    """Where a new run's weights come from."""

    checkpoint: Path
    partial: bool = False
    """Take what fits; otherwise all must."""

    @classmethod
    def of(cls, source: str | Path, *, partial: bool = False) -> InitialWeights:
        """From `RUN`, `RUN:best`, `RUN:step-000050000`, or a checkpoint's own folder.

        Raises:
            RunFolderError: if there is no such run.
            CheckpointError: if it has no such checkpoint.
        """
        text, which = str(source), "last"
        if not Path(text).exists() and ":" in text:
            text, _, which = text.rpartition(":")
        path = Path(text)
        if (path / "manifest.json").is_file():
            return cls(path, partial)
        run_dir = RunFolder.open(path).path
        if which in {"last", "best"}:
            found = newest_checkpoint(run_dir) if which == "last" else best_checkpoint(run_dir)
        else:
            found = run_dir / "checkpoints" / Path(which).name
        if found is None or not found.is_dir():
            msg = f"{run_dir} has no checkpoint '{which}'. What there is: rlplug inspect {run_dir}"
            raise CheckpointError(msg)
        return cls(found, partial)


class Taken(NamedTuple):
    """What an agent took from a checkpoint, and what it did not."""

    taken: list[str]
    left: list[str]
    """Names, each with the reason."""

    def __str__(self) -> str:
        lines = [f"took {len(self.taken)} of {len(self.taken) + len(self.left)} arrays"]
        lines += [f"took {name}" for name in self.taken] if self.left else []
        lines += [f"left {name}" for name in self.left]
        return "\n".join(lines)


def take_weights(agent: Agent, source: InitialWeights) -> Taken:
    """Put another run's weights into an agent that was just built.

    Weights are the networks of `state_dict()` (online, target, actor, critics): its entries that
    are plain mappings of names to arrays. Statistics of normalisers are in there; optimizers,
    counters and generators are not.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        ConfigError: listing what does not fit, unless a partial match was asked for.
    """
    mine = agent.state_dict()
    theirs = load_component(source.checkpoint, "agent")
    found, wanted = _weights(theirs), _weights(mine)
    taken = [name for name in wanted if name in found and _kind(found[name]) == _kind(wanted[name])]
    left = [
        f"{name}: {_misfit(found.get(name), wanted.get(name))}"
        for name in {**wanted, **found}
        if name not in taken
    ]
    if not taken or (left and not source.partial):
        listed = "; ".join(left[:_SHOWN]) + ("; ..." if len(left) > _SHOWN else "")
        way = "" if source.partial else " --init-partial takes what fits and lists the rest."
        msg = f"The weights of {source.checkpoint} do not fit this run: {listed or 'none'}.{way}"
        raise ConfigError(msg)
    agent.load_state_dict(
        {
            part: (
                {
                    name: found[f"{part}.{name}"] if f"{part}.{name}" in taken else value
                    for name, value in entry.items()
                }
                if _is_network(entry)
                else entry
            )
            for part, entry in mine.items()
        }
    )
    return Taken(taken, left)


def _weights(state: State) -> dict[str, Any]:
    return {
        f"{part}.{name}": value
        for part, entry in state.items()
        if _is_network(entry)
        for name, value in entry.items()
    }


def _is_network(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(name, str) and hasattr(value, "shape") for name, value in entry.items()
    )


def _kind(array: Any) -> tuple[tuple[int, ...], str]:
    return tuple(array.shape), str(array.dtype)


def _misfit(there: Any, here: Any) -> str:
    if there is None:
        return "not in the checkpoint"
    if here is None:
        return "not in this run"
    return f"{list(there.shape)} in the checkpoint, {list(here.shape)} in this run"
