"""`rlplug info`: what is known about a component, without importing it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.cli.tables import show_table
from rlplug.errors import UnknownNameError
from rlplug.registry import discovery, index
from rlplug.registry.entries import distributions, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.registry.entries import Entry, Group


_GROUPS: tuple[Group, ...] = ("algorithms", "environments", "networks")


def command(
    name: Annotated[str, typer.Argument(help="An algorithm, an environment or a network.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show summary, provider and options of an algorithm, an environment or a network."""
    found = {}
    if entry := discovery.find("algorithms", name):
        found["algorithm"] = _algorithm(entry)
    if place := discovery.find_environment(name):
        found["environment"] = _environment(*place)
    if entry := discovery.find("networks", name):
        found["network"] = _network(entry)
    if not found:
        known = [one for group in _GROUPS for one in discovery.names(group)]
        raise UnknownNameError(discovery.unknown_name_message(_GROUPS, name, known))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for about in found.values():
        _show(about)


def _record(entry: Entry) -> index.EntryRecord:
    """What the index knows of an entry.

    Raises:
        PluginError: when it cannot be used.
    """
    found = index.record(distributions()[normalise(entry.distribution)])
    record = next(one for one in found.entries if one.entry == entry)
    if record.failure:
        raise record.failure.error()
    return record


def _algorithm(entry: Entry) -> dict[str, Any]:
    record = _record(entry)
    spec = record.spec
    options = [option._asdict() for option in record.options]
    if trainer := discovery.find("trainers", spec["trainer"]):
        own = dict(_flat(spec["defaults"]))
        options += [
            option._asdict() | {"default": own.get(option.name, option.default)}
            for option in _record(trainer).options
        ]
    pairs = _presets(0, entry.name)
    return _about(entry, entry.name, spec) | {
        "paper": spec["paper"],
        "observations": spec["observation_spaces"],
        "actions": spec["action_spaces"],
        "features": spec["features"],
        "trainer": spec["trainer"],
        "presets": sorted({environment for _, environment, _ in pairs}),
        "options": options,
    }


def _environment(entry: Entry, member: str) -> dict[str, Any]:
    record = _record(entry)
    spec = record.spec
    name = f"{entry.name}/{member}" if member else entry.name
    about = _about(entry, name, spec)
    if "members" in spec:
        about |= {} if member else {"members": [f"{entry.name}/{one}" for one in spec["members"]]}
    else:
        about |= {"gymnasium id": spec["gymnasium_id"] or "", "aliases": spec["aliases"]}
    return about | {
        "presets": sorted({algorithm for algorithm, _, _ in _presets(1, name)}),
        "options": [option._asdict() for option in record.options],
    }


def _network(entry: Entry) -> dict[str, Any]:
    record = _record(entry)
    return _about(entry, entry.name, record.spec) | {
        "choose it": f"--agent.network.encoder {discovery.full_name(entry)}",
        "options": [option._asdict() for option in record.options],
    }


def _about(entry: Entry, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": spec["summary"],
        "distribution": entry.distribution,
        "version": entry.version,
    }


def _presets(place: int, name: str) -> list[list[str]]:
    """(algorithm, environment, name) of the presets that have `name` at `place`."""
    found = [one for record in index.read() for one in record.entries]
    pairs = [pair for one in found for pair in one.spec.get("presets", ())]
    return [pair for pair in pairs if pair[place] == name]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        yield prefix + key, value


def _show(about: dict[str, Any]) -> None:
    about = dict(about)
    options = about.pop("options")
    print(f"{about.pop('name')}: {about.pop('summary')}")
    about["provider"] = f"{about.pop('distribution')} {about.pop('version')}"
    for key, value in about.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text:
            print(f"  {key:<14}{text}")
    if options:
        print()
        rows = [
            (f"--{one['name']}", _default(one["default"]), one["expected"], _meaning(one))
            for one in options
        ]
        show_table(("option", "default", "expected", "meaning"), rows)


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _meaning(option: dict[str, Any]) -> str:
    return (
        f"[{option['kind']}] {option['description']}" if option["kind"] else option["description"]
    )
