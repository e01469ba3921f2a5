"""`rlplug plugins check`: the conformance kit on an algorithm, an environment or a package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.errors import PluginError, UnknownNameError
from rlplug.registry import discovery, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.testing import Check, Result

_MARKS = {"passed": "ok", "skipped": "--", "expected-failure": "xf"}


def check(
    name: Annotated[str, typer.Argument(help="An algorithm, an environment, or a package.")],
    tier: Annotated[str, typer.Option(help="fast takes seconds; learns has all checks.")] = "fast",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[
        Path, typer.Option(help="Where the results are written.", show_default=True)
    ] = Path("conformance.json"),
) -> None:
    """Check that an algorithm, an environment or everything of a package keeps its contracts."""
    if tier not in {"fast", "learns"}:
        msg = f"Unknown tier '{tier}'; expected fast or learns."
        raise UnknownNameError(msg)
    subjects = list(_subjects(name))
    from rlplug.testing import Report

    results: list[Result] = []
    for group, one in subjects:
        for each in _checks(group, one, tier):
            result = each.run()
            results.append(result)
            if not as_json:
                _show(result)
    report = Report(tuple(results))
    report.write(output)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print(f"\n{_summary(results)} Written to {output}.")
    if report.failures:
        names = ", ".join(f"'{one.name}' ({one.subject})" for one in report.failures[:5])
        more = len(report.failures) - 5
        msg = f"{name} does not conform: {names}{f' and {more} more' if more > 0 else ''}."
        raise PluginError(msg)


def _subjects(name: str) -> Iterator[tuple[str, str]]:
    """(group, name) of all that is to be checked.

    Raises:
        UnknownNameError: nothing has this name, or the package has nothing to check.
    """
    owner = entries.distributions().get(entries.normalise(name))
    if owner is not None:
        yield from _of_package(owner)
        return
    if discovery.find("algorithms", name) is not None:
        yield "algorithms", name
        return
    from rlplug.resolve import find_environment

    try:
        find_environment(name)
    except UnknownNameError as error:
        known = [*discovery.names("algorithms"), *discovery.names("environments")]
        known += [one.name for one in entries.distributions().values()]
        msg = discovery.unknown_name_message(("algorithms", "environments"), name, known)
        raise UnknownNameError(msg) from error
    yield "environments", name


def _of_package(package: entries.Distribution) -> Iterator[tuple[str, str]]:
    """Every algorithm and environment of a package; of a family, its first member."""
    found = False
    for entry in package.entries:
        if entry.group == "algorithms":
            found = True
            yield "algorithms", discovery.full_name(entry)
        elif entry.group == "environments":
            found = True
            spec: Any = discovery.load(entry)
            members = getattr(spec, "members", None)
            full = discovery.full_name(entry)
            yield "environments", f"{full}/{members[0]}" if members else full
    if not found:
        msg = f"{package.name} has neither an algorithm nor an environment: nothing to check."
        raise UnknownNameError(msg)


def _checks(group: str, name: str, tier: Any) -> list[Check]:
    from rlplug.testing import algorithm_checks, environment_checks

    make = algorithm_checks if group == "algorithms" else environment_checks
    return make(name, tier=tier)


def _show(result: Result) -> None:
    mark = _MARKS.get(result.status, "FAILED")
    remark = f"  {result.reason}" if result.reason else ""
    print(f"{mark:6}  {result.subject}: {result.name} ({result.seconds:.1f} s){remark}", flush=True)


def _summary(results: list[Result]) -> str:
    by_status: dict[str, int] = {}
    for one in results:
        by_status[one.status] = by_status.get(one.status, 0) + 1
    seconds = sum(one.seconds for one in results)
    counts = ", ".join(f"{count} {status}" for status, count in by_status.items())
    return f"{counts} in {seconds:.0f} s."
