"""Hooks: what any number of plugins may do at certain moments of a run.

An entry point of the group `rlplug.hooks` leads to a module, an object, or a class (of which every
run gets an instance of its own) with functions named as in `HookSpecs`:

    from rlplug.registry.hookspecs import EvaluationEnded, hookimpl

    @hookimpl
    def rlplug_evaluation_ended(event: EvaluationEnded) -> None:
        print(event.mean_return)

None of them is called once per environment step. A hook that raises is named and switched off for
the rest of the run; if its plugin has `critical = True`, it ends the run.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import pluggy

from rlplug.errors import PluginError
from rlplug.registry import discovery, entries
from rlplug.registry.loading import attempt, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from rlplug.config import RunConfig

hookspec = pluggy.HookspecMarker("rlplug")
hookimpl = pluggy.HookimplMarker("rlplug")
_log = logging.getLogger(__name__)


Outcome: TypeAlias = Literal["finished", "stopped", "interrupted", "failed"]


class RunStarted(NamedTuple):
    """Everything is built; the first step comes next."""

    run_dir: Path
    config: RunConfig
    env_steps: int
    """0, or where a resumed run continues."""


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


class HookSpecs:
    """The hooks that a plugin may implement."""

    @hookspec
    def rlplug_run_started(self, event: RunStarted) -> None:
        """Before the first step of a run, or of its continuation."""

    @hookspec
    def rlplug_iteration_ended(self, event: IterationEnded) -> str | None:
        """After each iteration; a string stops the run and says why."""

    @hookspec
    def rlplug_evaluation_ended(self, event: EvaluationEnded) -> None:
        """After each evaluation beside training, and the final one."""

    @hookspec
    def rlplug_checkpoint_saved(self, event: CheckpointSaved) -> None:
        """After each checkpoint."""

    @hookspec
    def rlplug_run_finished(self, event: RunFinished) -> None:
        """At the end, also after an error."""


class Hooks:
    """The hooks of one run."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("rlplug")
        self._manager.add_hookspecs(HookSpecs)

    def add(self, name: str, plugin: Any) -> None:
        """Register the hooks of a module, an object, or a class, which is instantiated.

        Raises:
            PluginError: when it cannot be instantiated or its hooks are not ours.
        """
        with quiet(name):
            mishap = attempt(functools.partial(self._register, name, plugin))
        if mishap:
            msg = f"The hooks of {name} cannot be used: {mishap.reason}\n{mishap.traceback}"
            raise PluginError(msg.rstrip())

    def run_started(self, event: RunStarted) -> None:
        """Call every `rlplug_run_started`."""
        self._call("rlplug_run_started", event)

    def iteration_ended(self, event: IterationEnded) -> str | None:
        """Call every `rlplug_iteration_ended`; the first reason to stop, if there is one."""
        return next(iter(self._call("rlplug_iteration_ended", event)), None)

    def evaluation_ended(self, event: EvaluationEnded) -> None:
        """Call every `rlplug_evaluation_ended`."""
        self._call("rlplug_evaluation_ended", event)

    def checkpoint_saved(self, event: CheckpointSaved) -> None:
        """Call every `rlplug_checkpoint_saved`."""
        self._call("rlplug_checkpoint_saved", event)

    def run_finished(self, event: RunFinished) -> None:
        """Call every `rlplug_run_finished`."""
        self._call("rlplug_run_finished", event)

    def _register(self, name: str, plugin: Any) -> None:
        plugin = plugin() if isinstance(plugin, type) else plugin
        self._manager.register(plugin, name=name)
        for caller in self._manager.get_hookcallers(plugin) or ():
            wrappers = [one for one in caller.get_hookimpls() if one.wrapper or one.hookwrapper]
            if wrappers or not caller.has_spec():
                self._manager.unregister(plugin)
                problem = "wrappers are not called" if wrappers else "rlplug has no such hook"
                msg = f"{caller.name}: {problem}; see rlplug.registry.hookspecs"
                raise PluginError(msg)

    def _call(self, hook: str, event: Any) -> list[str]:
        """Call each implementation by itself, so that one that raises spares the others."""
        answers = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            arguments = [event] if implementation.argnames else []
            try:
                answer = implementation.function(*arguments)
            except Exception as error:
                name, plugin = implementation.plugin_name, implementation.plugin
                said = f"Hook {hook} of {name} raised {type(error).__name__}: {error}"
                if getattr(plugin, "critical", False):
                    msg = f"{said}. It is marked critical, so the run ends."
                    raise PluginError(msg) from error
                self._manager.unregister(plugin)
                _log.warning("%s; it is switched off for this run", said, exc_info=error)
            else:
                answers += [str(answer)] if answer is not None else []
        return answers


def load_hooks() -> Hooks:
    """The hooks of every installed plugin; one that cannot be loaded is named and left out."""
    hooks = Hooks()
    for entry in entries.entries("hooks"):
        try:
            hooks.add(f"{entry.distribution}:{entry.name}", discovery.load(entry))
        except PluginError as error:
            _log.warning("%s", error)
    return hooks
