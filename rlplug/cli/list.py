"""`rlplug list`: the algorithms and environments that are installed."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.cli.tables import show_table
from rlplug.registry import discovery, index

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(StrEnum):
    """What can be listed."""

    ALGORITHMS = "algorithms"
    ENVIRONMENTS = "environments"
    NETWORKS = "networks"


_BY_DEFAULT = (Kind.ALGORITHMS, Kind.ENVIRONMENTS)


def command(
    kind: Annotated[
        Kind | None, typer.Argument(help="Only these; else algorithms and environments.")
    ] = None,
    matching: Annotated[str, typer.Argument(help="Only names that contain this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Read every plugin again.")] = False,
) -> None:
    """List the algorithms, environments or networks that are installed."""
    records = index.read(refresh=refresh)
    rows = {
        one.value: sorted(
            (
                row
                for row in _rows(records, one, whole_families=as_json or kind is not None)
                if matching in row["name"]
            ),
            key=_name,
        )
        for one in ((kind,) if kind else _BY_DEFAULT)
    }
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for title, found in rows.items():
        if found:
            table = [(row["name"], row["summary"], row["provider"]) for row in found]
            show_table(("name", "summary", "provider"), table, title.capitalize())
        else:
            such = f" with '{matching}' in their name" if matching else ""
            print(f"No {title}{such} are installed (which plugins there are: rlplug plugins list).")
        print()
    _mention_problems(records)


def _rows(
    records: list[index.DistributionRecord], kind: Kind, *, whole_families: bool
) -> Iterator[dict[str, Any]]:
    """What can be asked for by name; a family is one row unless all its members are wanted."""
    for distribution in records:
        for record in distribution.entries:
            if record.entry.group != kind.value or not record.spec:
                continue
            name = discovery.full_name(record.entry)
            about = {
                "name": name,
                "summary": record.spec["summary"],
                "provider": record.entry.provider,
                "distribution": record.entry.distribution,
                "version": record.entry.version,
            }
            members = record.spec.get("members")
            if members is None:
                aliases = {"aliases": record.spec["aliases"]} if "aliases" in record.spec else {}
                yield about | aliases
            elif whole_families:
                yield from (about | {"name": f"{name}/{member}"} for member in members)
            else:
                summary = f"{about['summary']} ({len(members)}; rlplug list environments)"
                yield about | {"name": f"{name}/...", "summary": summary}


def _name(row: dict[str, Any]) -> str:
    return str(row["name"])


def _mention_problems(records: list[index.DistributionRecord]) -> None:
    faulty = [one.distribution.name for one in records if one.state in {"failed", "incompatible"}]
    if faulty:
        names = ", ".join(faulty)
        print(f"Cannot be used as they are: {names} (why: rlplug plugins list)", file=sys.stderr)
