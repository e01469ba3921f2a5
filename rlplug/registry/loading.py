"""The guard: a plugin's code runs inside it, and what goes wrong there becomes a `LoadFailure`."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import os
import re
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rlplug.errors import PluginError
from rlplug.registry.entries import Entry, Group, distributions, normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_SPECS: dict[Group, tuple[str, ...]] = {
    "trainers": ("TrainerSpec",),
    "algorithms": ("AlgorithmSpec",),
    "environments": ("EnvironmentSpec", "EnvironmentFamily"),
    "networks": ("NetworkSpec",),
}
"""What an entry point of these groups must lead to; names in `rlplug.specs`."""
_TARGET = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?")
_log = logging.getLogger(__name__)


class Mishap(NamedTuple):
    """What a plugin's code did instead of returning."""

    reason: str
    """One line."""
    traceback: str = ""
    """The plugin's own frames."""
    missing: str = ""
    """The module that could not be found, if that is what happened."""


class LoadFailure(NamedTuple):
    """Why a component of a plugin cannot be used."""

    distribution: str
    version: str
    group: Group
    name: str
    reason: str
    """One line."""
    traceback: str
    """The plugin's own frames; empty when none of its code is to blame."""
    hint: str
    """What to do."""

    @classmethod
    def of(cls, entry: Entry, mishap: Mishap, hint: str = "") -> LoadFailure:
        """What happened to an entry, with the hint that fits any plugin if there is no better."""
        hint = hint or _hint(entry.distribution, mishap)
        return cls(*entry[:4], mishap.reason, mishap.traceback, hint)

    def error(self) -> PluginError:
        """The failure as the error that a command ends with."""
        what = f"{self.group.removesuffix('s')} '{self.name}' of {self.distribution} {self.version}"
        return _plugin_error(f"{what} cannot be loaded", self.reason, self.traceback, self.hint)


def strict() -> bool:
    """Whether a plugin's exception is raised as it is (`RLPLUG_STRICT_PLUGINS=1`)."""
    return os.environ.get("RLPLUG_STRICT_PLUGINS", "") not in {"", "0"}


def attempt(action: Callable[[], T]) -> T | Mishap:
    """Run a plugin's code: exceptions and SystemExit become a mishap."""
    if strict():
        return action()
    try:
        return action()
    except SystemExit as error:
        return Mishap(f"it calls sys.exit({error.code!r}) when imported", _frames(error))
    except PluginError as error:  # ours, and its message is made for the user
        return Mishap(*str(error).split("\n", maxsplit=1))
    except Exception as error:  # noqa: BLE001  a plugin may raise anything
        missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        return Mishap(said if len(said) <= 200 else f"{said[:197]}...", _frames(error), missing)


@contextlib.contextmanager
def quiet(who: str) -> Iterator[None]:
    """Keep what is printed inside from the terminal; it goes to the log."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        if printed.getvalue():
            _log.info("%s printed when imported: %s", who, printed.getvalue().strip())


def load_entry(entry: Entry) -> Any | LoadFailure:
    """Import the object behind an entry point and check that it is what its group asks for."""
    loaded = attempt(lambda: locate(entry.value))
    if isinstance(loaded, Mishap):
        return LoadFailure.of(entry, loaded)
    problem = _wrong_kind(entry, loaded)
    return LoadFailure.of(entry, Mishap(problem)) if problem else loaded


def import_string(target: str) -> Any:
    """The object behind `package.module:Name`.

    Raises:
        PluginError: with the traceback, when it cannot be imported.
    """
    distribution, version = _owner(target)
    with quiet(distribution):
        loaded = attempt(lambda: locate(target))
    if isinstance(loaded, Mishap):
        what = f"{target} of {distribution}{version} cannot be imported"
        hint = _hint(distribution, loaded)
        raise _plugin_error(what, loaded.reason, loaded.traceback, hint)
    return loaded


def locate(target: str) -> Any:
    """The object behind `package.module:Name`, or the module alone, without the guard."""
    if not _TARGET.fullmatch(target):
        msg = f"'{target}' cannot be imported; expected 'package.module:Name'"
        raise PluginError(msg)
    module, _, path = target.partition(":")
    loaded: Any = importlib.import_module(module)
    return functools.reduce(getattr, path.split("."), loaded) if path else loaded


def _wrong_kind(entry: Entry, loaded: Any) -> str:
    """What is wrong with a loaded object; empty when it is what its group asks for."""
    got = f"{entry.value} is of type {type(loaded).__name__}"
    if entry.group == "commands":
        import typer

        return "" if isinstance(loaded, typer.Typer) else f"{got}; expected typer.Typer"
    if entry.group == "trackers":
        return "" if callable(loaded) else f"{got}; expected a class or function"
    if entry.group not in _SPECS:
        return ""
    from rlplug import specs

    kinds: tuple[type[specs.Spec], ...] = tuple(getattr(specs, k) for k in _SPECS[entry.group])
    if not isinstance(loaded, kinds):
        return f"{got}; expected rlplug.specs.{' or '.join(_SPECS[entry.group])}"
    if (name := getattr(loaded, "name", "")) != entry.name:
        return f"its entry point is named '{entry.name}', but its spec '{name}'"
    return ""


def _owner(target: str) -> tuple[str, str]:
    """Distribution and version that a target belongs to, as far as entry points tell."""
    package = re.split(r"[.:]", target, maxsplit=1)[0]
    for distribution in distributions().values():
        if package in distribution.packages:
            return distribution.name, f" {distribution.version}"
    return package, ""


def _hint(distribution: str, mishap: Mishap) -> str:
    missing = mishap.missing.partition(".")[0]
    about = distributions().get(normalise(distribution))
    if missing and not (about and missing in about.packages):
        return f"It needs '{missing}', which is not installed: pip install --upgrade {distribution}"
    switch = f"RLPLUG_DISABLE_PLUGINS={distribution}"
    return f"Report it to the authors of {distribution}, or switch it off: {switch}"


def _plugin_error(what: str, reason: str, text: str, hint: str) -> PluginError:
    parts = [f"{what}: {reason}", text.rstrip(), hint]
    return PluginError("\n".join(part for part in parts if part))


def _frames(error: BaseException) -> str:
    """The traceback without the frames of the import system and of this module."""
    rendered = traceback.TracebackException.from_exception(error)
    rendered.stack = traceback.StackSummary.from_list(
        frame
        for frame in rendered.stack
        if frame.filename not in {__file__, importlib.__file__}
        and not frame.filename.startswith("<frozen importlib")
    )
    return "".join(rendered.format())
