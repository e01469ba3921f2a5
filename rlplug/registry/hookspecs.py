"""Hooks: what any number of plugins may do at certain moments of a run.

An entry point of the group `rlplug.hooks` leads to a module, an object, or a class (of which every
run gets an instance of its own) with functions named as in `HookSpecs`:

    from rlplug.registry.hookspecs import EvaluationEnded, hookimpl

    @hookimpl
    def rlplug_evaluation_ended(event: EvaluationEnded) -> None:
        print(event.mean_return)

None of them is called once per environment step. A hook that raises is named and switched off for
the rest of the run; if its plugin has `critical = True`, it ends the run.

A class whose attribute `config_class` is a `Config` subclass is built with one, made from the
run's settings `hooks.<name of the entry point>`. A plugin with `state_dict()` and
`load_state_dict(state)` keeps its state in the run's checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rlplug.config import RunConfig
    from rlplug.specs import AlgorithmSpec, EnvironmentSpec

hookspec = pluggy.HookspecMarker("rlplug")
hookimpl = pluggy.HookimplMarker("rlplug")

Outcome: TypeAlias = Literal["finished", "stopped", "interrupted", "failed"]


class RunPlanned(NamedTuple):
    """Everything is resolved and nothing is built or written yet."""

    config: RunConfig
    algorithm: AlgorithmSpec
    environment: EnvironmentSpec


class RunStarted(NamedTuple):
    """Everything is built; the first step comes next."""

    run_dir: Path
    config: RunConfig
    env_steps: int
    """0, or where a resumed run continues."""


class WorkerStarted(NamedTuple):
    """A worker process has built its policy and environments; the hooks run in that process."""

    config: RunConfig
    worker: int
    """Its number, from 0."""
    streams: tuple[int, ...]
    """Global indices of its environments."""


class IterationEnded(NamedTuple):
    """One collection and its updates are done."""

    env_steps: int
    updates: int


class EvaluationEnded(NamedTuple):
    """The policy was evaluated."""

    env_steps: int
    updates: int
    returns: tuple[float, ...]
    """Of whole episodes: undiscounted, unclipped."""

    @property
    def mean_return(self) -> float:
        """Mean of `returns`."""
        return sum(self.returns) / len(self.returns)


class CheckpointSaved(NamedTuple):
    """A checkpoint is complete on disk."""

    env_steps: int
    path: Path


class RunFinished(NamedTuple):
    """The run is over, whatever ended it."""

    env_steps: int
    outcome: Outcome
    """`stopped` by a hook, `interrupted` by a signal, `failed` by an error."""
    reason: str
    """Why, where it did not run to its end."""


class DoctorCalled(NamedTuple):
    """`rlplug plugins doctor` examines the plugin, in a process of its own."""

    version: str
    """Of rlplug."""


class HookSpecs:
    """The hooks that a plugin may implement."""

    @hookspec
    def rlplug_validate_run(self, event: RunPlanned) -> str | None:
        """Before a run, its continuation or its dry run; a string, or a ConfigError, refuses it."""

    @hookspec
    def rlplug_run_started(self, event: RunStarted) -> None:
        """Before the first step of a run, or of its continuation."""

    @hookspec
    def rlplug_worker_started(self, event: WorkerStarted) -> None:
        """In each worker process, one that replaces another too, before its first step."""

    @hookspec
    def rlplug_iteration_ended(self, event: IterationEnded) -> str | None:
        """After each iteration; a string stops the run and says why."""

    @hookspec
    def rlplug_evaluation_ended(self, event: EvaluationEnded) -> bool | None:
        """After each evaluation beside training, and the final one; True saves these weights."""

    @hookspec
    def rlplug_checkpoint_saved(self, event: CheckpointSaved) -> None:
        """After each checkpoint."""

    @hookspec
    def rlplug_run_finished(self, event: RunFinished) -> None:
        """At the end, also after an error."""

    @hookspec
    def rlplug_doctor(self, event: DoctorCalled) -> str | Sequence[str] | None:
        """When plugins are examined; each string is a fault that a user should mend."""
