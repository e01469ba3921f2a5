"""A single Python file as a plugin: `--plugin ./my_algo.py`.

The file is imported under its own name (`my_algo`) from its own folder, which is put last on
`sys.path`: what its specs call `my_algo:Agent` can then be imported here and in the processes that
this one starts, and nothing installed is hidden by what lies beside it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError, PluginError
from rlplug.registry import entries
from rlplug.registry.entries import Distribution, Entry, Group
from rlplug.registry.loading import Mishap, attempt, quiet

if TYPE_CHECKING:
    from types import ModuleType


def load_file(path: Path | str) -> tuple[Entry, ...]:
    """Register the specs that a file defines at module level.

    Returns:
        What it offers; its distribution is the file's name, its version the hash of its content.

    Raises:
        ConfigError: when there is no such file, or its name cannot be imported.
        PluginError: when it raises, defines no spec, or offers a name that is taken.
    """
    file = Path(path).expanduser().resolve()
    _check_path(file)
    known = entries.distributions().get(entries.normalise(file.name))
    if known and known.location == str(file.parent):
        return known.entries
    module = _import(file)
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    offered = []
    for attribute, spec in vars(module).items():
        if (group := _group(spec)) and not attribute.startswith("_"):
            entry = Entry(file.name, version, group, spec.name, f"{file.stem}:{attribute}")
            if not _is_taken(entry, spec):
                offered.append(entry)
    if not offered:
        msg = f"{file} defines no spec; expected a module-level AlgorithmSpec or EnvironmentSpec"
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


def _group(value: Any) -> Group | None:
    from rlplug.specs import AlgorithmSpec, EnvironmentFamily, EnvironmentSpec, TrainerSpec

    if isinstance(value, AlgorithmSpec):
        return "algorithms"
    if isinstance(value, EnvironmentSpec | EnvironmentFamily):
        return "environments"
    return "trainers" if isinstance(value, TrainerSpec) else None


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
            msg = f"{entry.value} is {kind} '{entry.name}', which {other.provider} provides already"
            raise PluginError(msg + "; give it another name")
    return False
