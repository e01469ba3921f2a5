"""The hooks of one run: loaded, given their settings, called, and switched off where they raise."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy
from pydantic import ValidationError

from rlplug.config import Config
from rlplug.errors import ConfigError, PluginError
from rlplug.registry import discovery, entries
from rlplug.registry.hookspecs import HookSpecs, RunPlanned
from rlplug.registry.loading import attempt, quiet
from rlplug.registry.names import suggest
from rlplug.settings.layers import Layer, merge
from rlplug.settings.words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rlplug.config import RunConfig
    from rlplug.protocols import State
    from rlplug.registry.hookspecs import (
        CheckpointSaved,
        DoctorCalled,
        EvaluationEnded,
        IterationEnded,
        RunFinished,
        RunStarted,
        WorkerStarted,
    )
    from rlplug.specs import AlgorithmSpec, EnvironmentSpec

_log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    """What a hook returned, where that is not None."""

    plugin: str
    value: Any


class Hooks:
    """The hooks of one run."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        """What could not be loaded, in sentences; `tell_problems` logs and forgets them."""
        self._manager = pluggy.PluginManager("rlplug")
        self._manager.add_hookspecs(HookSpecs)

    def add(self, name: str, plugin: Any, settings: Mapping[str, Any] | None = None) -> None:
        """Register the hooks of a module, an object, or a class, which is instantiated.

        Args:
            name: What messages call it.
            plugin: Its functions are marked by `hookimpl`.
            settings: Of the run, for this plugin.

        Raises:
            ConfigError: when `settings` do not fit, or it takes none.
            PluginError: when it cannot be instantiated or its hooks are not ours.
        """
        arguments = _arguments(plugin, name.rpartition(":")[2], settings or {})
        with quiet(name):
            mishap = attempt(functools.partial(self._register, name, plugin, arguments))
        if mishap:
            msg = f"The hooks of {name} cannot be used: {mishap.reason}\n{mishap.traceback}"
            raise PluginError(msg.rstrip())

    def tell_problems(self) -> None:
        """Warn of what could not be loaded."""
        for problem in self.problems:
            _log.warning("%s", problem)
        self.problems.clear()

    def validate_run(self, event: RunPlanned) -> None:
        """Call every `rlplug_validate_run`.

        Raises:
            ConfigError: when one of them refuses the run.
        """
        for name, said in self._call("rlplug_validate_run", event, passes=ConfigError):
            raise ConfigError(f"{said} (said by {name}, before anything was built)")

    def run_started(self, event: RunStarted) -> None:
        """Call every `rlplug_run_started`."""
        self._call("rlplug_run_started", event)

    def worker_started(self, event: WorkerStarted) -> None:
        """Call every `rlplug_worker_started`."""
        self._call("rlplug_worker_started", event)

    def iteration_ended(self, event: IterationEnded) -> str | None:
        """Call every `rlplug_iteration_ended`; the first reason to stop, if there is one."""
        answers = self._call("rlplug_iteration_ended", event)
        return str(answers[0].value) if answers else None

    def evaluation_ended(self, event: EvaluationEnded) -> bool:
        """Call every `rlplug_evaluation_ended`; whether one of them wants a checkpoint of it."""
        return any(answer.value for answer in self._call("rlplug_evaluation_ended", event))

    def checkpoint_saved(self, event: CheckpointSaved) -> None:
        """Call every `rlplug_checkpoint_saved`."""
        self._call("rlplug_checkpoint_saved", event)

    def run_finished(self, event: RunFinished) -> None:
        """Call every `rlplug_run_finished`."""
        self._call("rlplug_run_finished", event)

    def doctor(self, event: DoctorCalled) -> list[str]:
        """Call every `rlplug_doctor`; what they found."""
        answers = [answer.value for answer in self._call("rlplug_doctor", event)]
        return [text for one in answers for text in ([one] if isinstance(one, str) else one)]

    def state_dict(self) -> State:
        """By name, the state of each plugin that has one."""
        found = {}
        for name, plugin in self._with_state():
            state = self._guarded(name, plugin, "state_dict", plugin.state_dict)
            if state is not None:
                found[name] = state
        return found

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`; a plugin that was not there then starts anew."""
        for name, plugin in self._with_state():
            if name in state:
                load = functools.partial(plugin.load_state_dict, state[name])
                self._guarded(name, plugin, "load_state_dict", load)

    def _with_state(self) -> Iterator[tuple[str, Any]]:
        for name, plugin in self._manager.list_name_plugin():
            if hasattr(plugin, "state_dict") and hasattr(plugin, "load_state_dict"):
                yield name, plugin

    def _register(self, name: str, plugin: Any, arguments: list[Config]) -> None:
        plugin = plugin(*arguments) if isinstance(plugin, type) else plugin
        self._manager.register(plugin, name=name)
        for caller in self._manager.get_hookcallers(plugin) or ():
            wrappers = [one for one in caller.get_hookimpls() if one.wrapper or one.hookwrapper]
            if wrappers or not caller.has_spec():
                self._manager.unregister(plugin)
                problem = "wrappers are not called" if wrappers else "rlplug has no such hook"
                msg = f"{caller.name}: {problem}; see rlplug.registry.hookspecs"
                raise PluginError(msg)

    def _call(
        self, hook: str, event: Any, passes: type[Exception] | tuple[()] = ()
    ) -> list[_Answer]:
        """Call each implementation by itself, so that one that raises spares the others."""
        answers = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            arguments = [event] if implementation.argnames else []
            call = functools.partial(implementation.function, *arguments)
            name = implementation.plugin_name
            answer = self._guarded(name, implementation.plugin, hook, call, passes)
            answers += [_Answer(name, answer)] if answer is not None else []
        return answers

    def _guarded(
        self,
        name: str,
        plugin: Any,
        what: str,
        call: Callable[[], Any],
        passes: type[Exception] | tuple[()] = (),
    ) -> Any:
        """Run a plugin's code; where it raises, switch it off, or end the run if it is critical."""
        try:
            return call()
        except passes:
            raise
        except Exception as error:
            said = f"Hook {what} of {name} raised {type(error).__name__}: {error}"
            if getattr(plugin, "critical", False):
                msg = f"{said}. It is marked critical, so the run ends."
                raise PluginError(msg) from error
            self._manager.unregister(plugin)
            _log.warning("%s; it is switched off for this run", said, exc_info=error)
            return None


def hooks_for(config: RunConfig, algorithm: AlgorithmSpec, environment: EnvironmentSpec) -> Hooks:
    """The hooks of a run, none of which has an objection to it.

    Raises:
        ConfigError: one of them refuses the run, or the settings for one do not fit.
        PluginError: one that the run has settings for cannot be loaded.
    """
    hooks = load_hooks(config)
    hooks.validate_run(RunPlanned(config, algorithm, environment))
    return hooks


def load_hooks(config: RunConfig | None = None) -> Hooks:
    """The hooks of every installed plugin, with the settings that a run has for them.

    One that cannot be loaded is left out and named in `problems`, unless the run has settings
    for it.

    Raises:
        ConfigError: when there is no hook for some settings, or they do not fit it.
        PluginError: when a hook that has settings cannot be loaded.
    """
    hooks, settings = Hooks(), dict(config.hooks) if config else {}
    known = []
    for entry in entries.entries("hooks"):
        known.append(entry.name)
        mine = settings.pop(entry.name, None)
        try:
            hooks.add(f"{entry.distribution}:{entry.name}", discovery.load(entry), mine)
        except PluginError as error:
            if mine is not None:
                raise
            hooks.problems.append(str(error))
    for name in settings:
        near = "".join(f" Did you mean '{one}'?" for one in suggest(name, known)[:1])
        msg = f"hooks.{name}: no installed plugin has a hook '{name}'.{near}"
        raise ConfigError(f"{msg} Known: {', '.join(sorted(known))}.")
    return hooks


def _arguments(plugin: Any, name: str, settings: Mapping[str, Any]) -> list[Config]:
    """What a class of hooks is built with: its config, if it has one."""
    model = getattr(plugin, "config_class", None)
    if not (isinstance(plugin, type) and isinstance(model, type) and issubclass(model, Config)):
        if settings:
            msg = f"hooks.{name}: this hook takes no settings; leave out {', '.join(settings)}."
            raise ConfigError(msg)
        return []
    try:
        values = merge(model, [Layer("file", settings, f"hooks.{name}: ")]).values
        return [model.model_validate(values)]
    except ValidationError as error:
        faults = explain(error, model, settings)
        raise ConfigError("\n".join(f"hooks.{name}.{said}" for _, said in faults)) from error
