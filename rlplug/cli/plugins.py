"""Look after plugins: list, examine, lock and write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.cli.plugins_new import new
from rlplug.cli.tables import show_table
from rlplug.errors import PluginError
from rlplug.registry import discovery, index
from rlplug.registry.entries import OWN

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(no_args_is_help=True, help="Look after plugins.")
app.command("new")(new)


@app.callback()
def plugins() -> None:
    """Look after plugins."""


@app.command("list")
def list_plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Read every plugin again.")] = False,
) -> None:
    """List plugins, what they provide and whether it can be used."""
    found = [_about(record) for record in index.read(refresh=refresh)]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    header = ("plugin", "version", "state", "remarks", "provides")
    rows = [
        (one["distribution"], one["version"], one["state"], "; ".join(_why(one)), _provides(one))
        for one in found
    ]
    show_table(header, rows)
    if len(found) <= 1:
        print("\nNo other plugins are installed; any package with rlplug entry points is one.")


def _about(record: index.DistributionRecord) -> dict[str, Any]:
    distribution = record.distribution
    components = [
        {
            "group": one.entry.group,
            "name": one.entry.name,
            "value": one.entry.value,
            "state": "failed" if one.failure else record.state.replace("failed", "ok"),
            "reason": one.failure.reason if one.failure else "",
            "traceback": one.failure.traceback if one.failure else "",
            "hint": one.failure.hint if one.failure else "",
        }
        for one in record.entries
    ]
    return {
        "distribution": distribution.name,
        "version": distribution.version,
        "location": distribution.location,
        "state": record.state,
        "remarks": [*record.remarks, *_clashes(record)],
        "components": components,
    }


def _clashes(record: index.DistributionRecord) -> Iterator[str]:
    """Names of a plugin that do not lead to it by themselves."""
    if record.state in {"disabled", "incompatible"} or record.distribution.name == OWN:
        return
    for one in record.entries:
        group, name = one.entry.group, one.entry.name
        full = discovery.full_name(one.entry)
        if group in {"presets", "hooks"} or full == name:
            continue
        try:
            first = discovery.find(group, name)
            alone = f"is that of {first.provider}" if first else "is another"
        except PluginError:
            alone = "is offered by several plugins"
        yield f"{group.removesuffix('s')} '{name}' {alone}; ask for '{full}'"


def _provides(about: dict[str, Any]) -> str:
    by_group: dict[str, list[str]] = {}
    for one in about["components"]:
        by_group.setdefault(one["group"], []).append(one["name"])
    return "; ".join(f"{group}: {', '.join(names)}" for group, names in by_group.items())


def _why(about: dict[str, Any]) -> list[str]:
    failed = [one for one in about["components"] if one["state"] == "failed"]
    reasons = [
        f"{one['group'].removesuffix('s')} '{one['name']}': {one['reason']}" for one in failed
    ]
    alike = about["state"] == "incompatible"
    return [*about["remarks"], *([] if alike else reasons)] or ["-"]
