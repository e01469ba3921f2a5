"""Look after plugins: list, examine, lock and write them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from rlplug.cli.plugins_check import check
from rlplug.cli.plugins_doctor import doctor, find_distribution
from rlplug.cli.plugins_lock import lock
from rlplug.cli.plugins_new import new
from rlplug.cli.tables import show_table
from rlplug.registry import index
from rlplug.registry.doctor import clashes

app = typer.Typer(no_args_is_help=True, help="Look after plugins.")
app.command("check")(check)
app.command("doctor")(doctor)
app.command("lock")(lock)
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


@app.command("info")
def info(
    name: Annotated[str, typer.Argument(help="Name of the package, or of the file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe one plugin: where it is, what it needs and brings, what is wrong with it."""
    distribution = find_distribution(name)
    about = _about(index.record(distribution))
    about["requires"] = list(distribution.requires)
    if as_json:
        print(json.dumps(about, indent=2))
        return
    print(f"{about['distribution']} {about['version']}: {about['state']}")
    for label in ("location", "requires", "remarks"):
        for value in [about[label]] if isinstance(about[label], str) else about[label]:
            print(f"  {label:<10}{value}")
    print()
    header = ("group", "name", "state", "leads to")
    components = about["components"]
    show_table(header, [(c["group"], c["name"], c["state"], c["value"]) for c in components])
    for one in components:
        if one["reason"]:
            print(f"\n{one['group'].removesuffix('s')} '{one['name']}': {one['reason']}")
            print("\n".join(filter(None, (one["traceback"].rstrip(), one["hint"]))))


def _about(record: index.DistributionRecord) -> dict[str, Any]:
    distribution = record.distribution
    usable = record.state not in {"disabled", "incompatible"}
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
        "remarks": [*record.remarks, *(clashes(record.distribution.entries) if usable else ())],
        "components": components,
    }


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
