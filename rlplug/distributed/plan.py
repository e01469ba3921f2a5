"""What a worker needs to know, as plain data: names and settings, no object of a plugin.

A worker looks the names up in its own registry, so that a plugin has to be installed where it runs
(`versions` are compared) or has to be a file that travels along (`--plugin FILE`).
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.envs.spec import CallableSpec
from rlplug.registry import discovery
from rlplug.registry.entries import distributions, is_file
from rlplug.versions import installed_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.resolve import Resolved


class PluginFile(NamedTuple):
    """A `--plugin FILE`, with its text: another machine does not have it."""

    path: str
    content: bytes


class WorkerPlan(NamedTuple):
    """The same for every worker of a run."""

    settings: dict[str, Any]
    """The run's config."""
    environment_factory: Callable[..., Any] | None
    """Where the environment is a callable that has no import string."""
    plugin_files: tuple[PluginFile, ...]
    import_path: tuple[str, ...]
    """Folders that this process imports from."""
    environ: dict[str, str]
    """Variables that switch plugins on and off."""
    num_streams: int
    """Environments of the whole run."""
    total_env_steps: int
    """Length of the run."""
    scratch: str
    """Folder on the driver's machine where a worker that hangs writes where it stands."""


class Berth(NamedTuple):
    """One worker's own part of the plan."""

    place: int
    """0 for the first worker."""
    first_stream: int
    num_envs: int
    life: int
    """How many workers held this place before."""


def plan_of(resolved: Resolved, *, total_env_steps: int, scratch: str) -> WorkerPlan:
    """What the workers of a run are told."""
    spec, config = resolved.environment, resolved.config
    return WorkerPlan(
        settings=config.model_dump(),
        environment_factory=spec.factory if isinstance(spec, CallableSpec) else None,
        plugin_files=_plugin_files(),
        import_path=tuple(sys.path),
        environ={name: text for name, text in os.environ.items() if name.startswith("RLPLUG_")},
        num_streams=config.launch.total_envs,
        total_env_steps=total_env_steps,
        scratch=scratch,
    )


def resolve_here(plan: WorkerPlan) -> Resolved:
    """In the worker: the run's names and settings, from this process's own registry."""
    os.environ.update(plan.environ)
    sys.path += [folder for folder in plan.import_path if folder not in sys.path]
    for file in plan.plugin_files:
        discovery.load_file(_on_this_machine(file))
    from rlplug.resolve import resolve

    return resolve(None, plan.environment_factory, preset=None, config=plan.settings)


def versions(resolved: Resolved) -> dict[str, str]:
    """What has to be equal on every node: what computes, and who provides the run's names."""
    config = resolved.config
    found = {**installed_versions(), "ray": version("ray")}
    for provider in (
        discovery.provider("algorithms", config.algorithm),
        discovery.provider("environments", config.environment),
    ):
        if provider is not None:
            found[provider.distribution] = provider.version
    return found


def _plugin_files() -> tuple[PluginFile, ...]:
    paths = [
        Path(each.location) / each.name for each in distributions().values() if is_file(each.name)
    ]
    return tuple(PluginFile(str(path), path.read_bytes()) for path in paths)


def _on_this_machine(file: PluginFile) -> Path:
    """The very file, or a copy where this machine has none of that content."""
    path = Path(file.path)
    if path.is_file() and path.read_bytes() == file.content:
        return path
    folder = Path(tempfile.gettempdir(), f"rlplug-{hashlib.sha256(file.content).hexdigest()[:16]}")
    folder.mkdir(exist_ok=True)
    copy = folder / path.name
    copy.write_bytes(file.content)
    return copy
