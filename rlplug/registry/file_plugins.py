"""A single Python file as a plugin: `--plugin ./my_algo.py`, or named in `pyproject.toml`.

What it defines at module level is what a package would name as entry points: specs by their own
names; classes with hooks or with a tracker's methods, and Typer apps, by the names of the objects
(`CsvTracker` is `csv`, `SlowStart` is `slow-start`); functions that are hooks by the file's name.

The file is imported under its own name (`my_algo`) from its own folder, which is put last on
`sys.path`: what its specs call `my_algo:Agent` can then be imported here and in the processes that
this one starts, and nothing installed is hidden by what lies beside it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError, PluginError
from rlplug.registry import entries
from rlplug.registry.entries import Distribution, Entry, Group
from rlplug.registry.loading import Mishap, attempt, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def load_file(path: Path | str) -> tuple[Entry, ...]:
    """Register what a file defines at module level.

    Returns:
        What it offers; its distribution is the file's name, its version the hash of its content.

    Raises:
        ConfigError: when there is no such file, or its name cannot be imported.
        PluginError: when it raises, defines nothing, or offers a name that is taken.
    """
    file = Path(path).expanduser().resolve()
    _check_path(file)
    known = entries.distributions().get(entries.normalise(file.name))
    if known and known.location == str(file.parent):
        return known.entries
    module = _import(file)
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    offered = []
    for group, name, attribute, component in _components(module):
        target = f"{file.stem}:{attribute}" if attribute else file.stem
        entry = Entry(file.name, version, group, name, target)
        if not _is_taken(entry, component):
            offered.append(entry)
    if not offered:
        msg = (
            f"{file} defines no spec; expected a module-level AlgorithmSpec or EnvironmentSpec, "
            "a class with hooks, or a tracker"
        )
        raise PluginError(msg)
    entries.add_file(Distribution(file.name, version, str(file.parent), (), tuple(offered)))
    return tuple(offered)


def _check_path(file: Path) -> None:
    if not file.is_file():
        msg = f"There is no plugin file {file}; expected the path of a Python file"
        raise ConfigError(msg)
    if file.suffix != ".py" or not file.stem.isidentifier():
        msg = f"The plugin file {file.name} cannot be imported; name it like a module: my_algo.py"
        raise ConfigError(msg)


def _import(file: Path) -> ModuleType:
    importlib.invalidate_caches()
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.find_spec(file.stem)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != file:
        found = spec.origin if spec else "nothing"
        msg = f"The plugin file {file} shares its name with {found}; rename it"
        raise ConfigError(msg)
    with quiet(file.name):
        module = attempt(functools.partial(importlib.import_module, file.stem))
    if isinstance(module, Mishap):
        msg = f"The plugin file {file} cannot be imported: {module.reason}\n{module.traceback}"
        raise PluginError(msg.rstrip())
    return module


def _components(module: ModuleType) -> Iterator[tuple[Group, str, str, Any]]:
    """Group, name, attribute and object of everything that a module offers."""
    from rlplug import specs

    own = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    kinds: dict[type, Group] = {
        specs.AlgorithmSpec: "algorithms",
        specs.EnvironmentSpec: "environments",
        specs.EnvironmentFamily: "environments",
        specs.TrainerSpec: "trainers",
        specs.NetworkSpec: "networks",
    }
    for attribute, value in own.items():
        if group := kinds.get(type(value)):
            yield group, value.name, attribute, value
        elif type(value).__module__.startswith("typer."):
            name = module.__name__ if attribute == "app" else attribute
            yield "commands", _kebab(name), attribute, value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            if any(_is_hook(one) for one in vars(value).values()):
                yield "hooks", _kebab(attribute), attribute, value
            if all(callable(getattr(value, one, None)) for one in ("write", "episode", "close")):
                yield "trackers", _kebab(attribute.removesuffix("Tracker")), attribute, value
    if any(_is_hook(value) for value in own.values()):
        yield "hooks", _kebab(module.__name__), "", module


def _is_hook(value: Any) -> bool:
    """Whether pluggy's `hookimpl` has marked a function; it leaves an attribute."""
    return callable(value) and not isinstance(value, type) and hasattr(value, "rlplug_impl")


def _kebab(name: str) -> str:
    """`SlowStart` and `slow_start` as `slow-start`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").lower()


def _is_taken(entry: Entry, spec: Any) -> bool:
    """Whether a spec in a file is only imported there, from the plugin that provides it.

    Raises:
        PluginError: when another provider has its name for something else.
    """
    kind = entry.group.removesuffix("s")
    for other in entries.entries(entry.group):
        if other.name == entry.name:
            place, _, attribute = other.value.partition(":")
            if getattr(sys.modules.get(place), attribute, None) is spec:
                return True
            if entry.group == "hooks":  # all of them are called, whatever their names
                continue
            msg = f"{entry.value} is {kind} '{entry.name}', which {other.provider} provides already"
            raise PluginError(msg + "; give it another name")
    return False
