"""What the shell offers at TAB: from metadata and the plugin index, importing no plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.errors import RlplugError, UnknownNameError
from rlplug.registry.index import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.registry.entries import Entry
    from rlplug.registry.index import EntryRecord


def complete_algorithm(incomplete: str) -> list[str]:
    """Algorithms that begin so."""
    from rlplug.registry import discovery

    return [name for name in discovery.names("algorithms") if name.startswith(incomplete)]


def complete_environment(incomplete: str) -> list[str]:
    """Registered environments that begin so."""
    from rlplug.registry import discovery

    return [name for name in discovery.names("environments") if name.startswith(incomplete)]


def complete_setting(algorithm: str | None, environment: str | None) -> list[Option]:
    """The dotted settings of a pair, as far as its names are known; never an error."""
    try:
        return list(settings(algorithm, environment))
    except RlplugError:
        return []


def settings(algorithm: str | None, environment: str | None) -> Iterator[Option]:
    """Every dotted setting that a run of this pair has.

    An environment that is not registered (a Gymnasium id) has the settings that all have.

    Raises:
        UnknownNameError: if there is no such algorithm.
        PluginError: if it does not load, or several plugins provide it.
    """
    from rlplug.registry import discovery

    if algorithm:
        entry = discovery.find("algorithms", algorithm)
        if entry is None:
            known = discovery.names("algorithms")
            raise UnknownNameError(discovery.unknown_name_message("algorithms", algorithm, known))
        record = _record(entry)
        yield from record.options
        if trainer := discovery.find("trainers", record.spec.get("trainer", "")):
            own = record.spec.get("defaults", {})
            yield from (_with_default(one, own) for one in _record(trainer).options)
    found = discovery.find_environment(environment) if environment else None
    if found and (options := _record(found[0]).options):
        yield from options
    else:
        yield from _options("rlplug.envs.config:EnvConfig", "env.")
    yield from _options("rlplug.config:RunConfig", "")


def _record(entry: Entry) -> EntryRecord:
    """What the index knows of a component."""
    from rlplug.registry import index
    from rlplug.registry.entries import distributions, normalise

    distribution = index.record(distributions()[normalise(entry.distribution)])
    record = next(one for one in distribution.entries if one.entry == entry)
    if record.failure:
        raise record.failure.error()
    return record


def _with_default(option: Option, defaults: dict[str, Any]) -> Option:
    """An option, with the default that an algorithm has for it."""
    value: Any = defaults
    for key in option.name.split("."):
        if not isinstance(value, dict) or key not in value:
            return option
        value = value[key]
    return option._replace(default=value.get("kind") if isinstance(value, dict) else value)


def _options(path: str, prefix: str) -> Iterator[Option]:
    """The settings of one of rlplug's own config classes, in the index's form."""
    from rlplug.registry import discovery
    from rlplug.resolve import settings as settings_of

    for one in settings_of(discovery.import_string(path), prefix):
        if "." in one.name:
            shape, kind = one.shape, one.kind or ""
            yield Option(
                one.name, shape.expected, one.default, one.description, kind, list(shape.choices)
            )


def complete_run(incomplete: str) -> list[str]:
    """Run folders below `runs/` that begin so, the newest first."""
    found = sorted(Path("runs").glob("*/*/*/config.yaml"), key=_age)
    names = ["last", *(str(file.parent) for file in found)]
    return [name for name in names if name.startswith(incomplete)]


def _age(file: Path) -> int:
    return -file.stat().st_mtime_ns
